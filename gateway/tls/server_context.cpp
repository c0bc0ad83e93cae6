#include "gateway/tls/server_context.hpp"

#include <openssl/sha.h>

#include <algorithm>

#include "gateway/base/endpoint.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::tls {
namespace {

constexpr long kMaxSessions = 1024;  // only those of clients without tickets are kept here

struct Agreement {
    std::string host;
    bool http2 = false;
};

// As on the wire (RFC 7301): each with its length before it, best first.
constexpr std::string_view kHttp1 = "\x08http/1.1\x08http/1.0";
constexpr std::string_view kHttp2 = "\x02h2\x08http/1.1\x08http/1.0";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool names_host(std::string_view server_name, const std::string& host) {
    if (server_name.ends_with('.')) server_name.remove_suffix(1);
    if (std::ranges::equal(server_name, host, {}, lower)) return true;
    // RFC 6066 forbids addresses here; some clients send them all the same.
    const auto address = IpAddress::parse(server_name);
    return address && address == IpAddress::parse(host);
}

}  // namespace

std::string alpn_wire_format(const std::vector<std::string>& protocols) {
    std::string wire;
    for (const auto& name : protocols) {
        if (name.empty() || name.size() > 255) throw StartupError("not an ALPN name: '" + name + "'");
        wire += static_cast<char>(name.size());
        wire += name;
    }
    return wire;
}

ServerContext::ServerContext() : context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX* const context = context_.get();
    // One group for nearly every client: X25519 comes with a key share in all current hellos, so no extra round trip.
    const bool made = context && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                      SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1 &&
                      SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
                      SSL_CTX_set_ciphersuites(context,
                                               "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                               "TLS_CHACHA20_POLY1305_SHA256") == 1;
    if (!made) throw StartupError("cannot set up TLS for clients: " + openssl_error());
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA | SSL_OP_CLEANSE_PLAINTEXT);
    // Without NO_AUTO_CHAIN each handshake would search the (empty) trust store for the leaf's issuer.
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_num_tickets(context, 1);  // the library's second one is for clients that race two connections
    SSL_CTX_sess_set_cache_size(context, kMaxSessions);
    SSL_CTX_set_tlsext_servername_callback(context, check_server_name);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
}

Result<SslPtr> ServerContext::make_ssl(const std::string& host, const Leaf& leaf, bool http2) const {
    SslPtr ssl(SSL_new(context_.get()));
    // A session is resumed only where its identifier context is the same (checked by OpenSSL for tickets too), so a
    // ticket of one host is of no use for another.
    unsigned char session_context[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(host.data()), host.size(), session_context);
    const bool made = ssl && SslSlot<Agreement>::set(ssl.get(), std::make_unique<Agreement>(Agreement{host, http2})) &&
                      SSL_set_session_id_context(ssl.get(), session_context, sizeof session_context) == 1 &&
                      SSL_use_certificate(ssl.get(), leaf.certificate.get()) == 1 &&
                      SSL_use_PrivateKey(ssl.get(), leaf.key.get()) == 1;
    if (!made) return Error{ErrorKind::tls, "cannot set up TLS for a client: " + openssl_error()};
    SSL_set_accept_state(ssl.get());
    return ssl;
}

int ServerContext::check_server_name(SSL* ssl, int* alert, void*) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name) return SSL_TLSEXT_ERR_NOACK;
    const auto* expected = SslSlot<Agreement>::get(ssl);
    if (expected && names_host(name, expected->host)) return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int ServerContext::choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_size,
                                   const unsigned char* offered, unsigned offered_size, void*) {
    const auto* agreed = SslSlot<Agreement>::get(ssl);
    const std::string_view ours = agreed && agreed->http2 ? kHttp2 : kHttp1;
    unsigned char* selected = nullptr;
    const int result =
        SSL_select_next_proto(&selected, chosen_size, reinterpret_cast<const unsigned char*>(ours.data()),
                              static_cast<unsigned>(ours.size()), offered, offered_size);
    if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = selected;
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace sallyport::tls
