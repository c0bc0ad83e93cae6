#pragma once
// Certificate authorities and server certificates for tests, in memory. Failures throw: a test cannot go on.

#include <ctime>
#include <string>

#include "gateway/tls/openssl_handles.hpp"

namespace sallyport::testing {

/// What a server shows.
struct Identity {
    tls::PkeyPtr key;
    tls::X509Ptr certificate;
};

class TestCa {
public:
    explicit TestCa(const std::string& name = "Test CA");

    const std::string& pem() const { return pem_; }
    Identity good(const std::string& host) const;
    Identity expired(const std::string& host) const;
    Identity not_yet_valid(const std::string& host) const;
    /// Signed by nobody else; no authority knows it.
    static Identity self_signed(const std::string& host);

private:
    Identity issue(const std::string& host, std::time_t not_before, std::time_t not_after) const;

    tls::PkeyPtr key_;
    tls::X509Ptr certificate_;
    std::string pem_;
};

std::string to_pem(X509*);
/// Encrypted where there is a passphrase.
std::string to_pem(EVP_PKEY*, const std::string& passphrase = {});

/// An SSL_CTX of a plain server with this identity, for any TLS version, with ALPN `protocol` when not empty.
tls::SslCtxPtr make_server(const Identity&, const std::string& protocol = {});

/// Client and server joined in memory; both start with their handshake undone.
struct TlsPair {
    TlsPair(tls::SslPtr client_ssl, tls::SslPtr server_ssl);

    /// True when both sides finished. Then a byte has gone from the server to the client, so session tickets have
    /// arrived. Otherwise `error` says what the side that failed first saw.
    bool handshake();

    tls::SslPtr client;
    tls::SslPtr server;
    std::string error;
};

}  // namespace sallyport::testing
