#pragma once
// TLS towards the sandbox: one SSL_CTX for all clients; the certificate is set for each connection.

#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.hpp"
#include "gateway/tls/leaf_cache.hpp"
#include "gateway/tls/openssl_handles.hpp"

namespace sallyport::tls {

/// TLS 1.2 and 1.3. Clients resume their sessions (tickets, and session identifiers for old TLS 1.2 clients), but
/// only for the host that the session was made for. For all threads; must outlive the SSL objects that it makes.
class ServerContext {
public:
    /// Throws StartupError.
    ServerContext();
    ServerContext(const ServerContext&) = delete;
    ServerContext& operator=(const ServerContext&) = delete;

    /// In accept state, without a BIO. `host` is what was decided on. If OpenSSL reads another server name from the
    /// hello than that, the handshake ends with unrecognized_name: nothing depends on two parsers agreeing. By ALPN it
    /// agrees to HTTP/2 where `http2`, else to HTTP/1.1. A client that offers ALPN but neither of them gets
    /// no_application_protocol (RFC 7301, 3.2); one that offers none is served.
    Result<SslPtr> make_ssl(const std::string& host, const Leaf&, bool http2) const;

private:
    static int check_server_name(SSL*, int* alert, void*);
    static int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                               const unsigned char* offered, unsigned offered_size, void* self);

    SslCtxPtr context_;
};

/// ALPN names as RFC 7301 writes them. Throws StartupError for an empty or overlong name.
std::string alpn_wire_format(const std::vector<std::string>& protocols);

}  // namespace sallyport::tls
