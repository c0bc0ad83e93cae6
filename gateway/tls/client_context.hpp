#pragma once
// TLS towards origins: chain, time and name are always verified, before any byte of a request is sent.

#include <cstdint>
#include <ctime>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/lru_map.hpp"
#include "gateway/base/result.hpp"
#include "gateway/tls/openssl_handles.hpp"

namespace sallyport::tls {

/// TLS 1.2 and 1.3. Sessions are resumed for at most an hour, each only towards the (name, port) that was verified for
/// it. For all threads; must outlive the SSL objects that it makes.
class ClientContext {
public:
    /// Trusts the system's store (SSL_CERT_FILE and SSL_CERT_DIR are honoured), or only `trusted_pem` when that is
    /// not empty. `protocols`: ALPN, best first. Throws StartupError, also when there is nothing to trust.
    explicit ClientContext(std::string_view trusted_pem = {}, const std::vector<std::string>& protocols = {"h2", "http/1.1"});
    ClientContext(const ClientContext&) = delete;
    ClientContext& operator=(const ClientContext&) = delete;

    /// In connect state, without a BIO: server name (not for an address), the name or address to verify, and the
    /// last session with this origin. `host` is canonical.
    Result<SslPtr> make_ssl(const std::string& host, std::uint16_t port) const;

    std::size_t sessions() const;

private:
    void trust(std::string_view pem);
    static int verified_so_far(int ok, X509_STORE_CTX*);
    static int keep_session(SSL*, SSL_SESSION*);
    SessionPtr find_session(const std::string& key) const;

    SslCtxPtr context_;
    mutable std::mutex mutex_;
    mutable LruMap<SessionPtr> sessions_;
};

/// Why the origin's certificate was refused, for an operator: "certificate is for other.example, not api.example".
/// Empty when verification is not what failed. Text that the origin chose is reduced to plain host name characters.
std::string verify_failure_text(const SSL*);

}  // namespace sallyport::tls
