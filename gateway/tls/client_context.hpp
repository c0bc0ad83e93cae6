#pragma once
// TLS towards origins: chain, time and name are always verified, before any byte of a request is sent.

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/lru_map.hpp"
#include "gateway/base/result.hpp"
#include "gateway/tls/openssl_handles.hpp"
#include "gateway/tls/origin_options.hpp"

namespace sallyport::tls {

/// TLS 1.2 and 1.3. Sessions are resumed for at most an hour after a certificate was verified, each only towards the
/// (name, port) that it was verified for, and under the same options. For all threads; must outlive the SSL objects
/// that it makes.
class ClientContext {
public:
    using Clock = std::chrono::steady_clock;
    using Now = std::function<Clock::time_point()>;

    /// Trusts the system's store (SSL_CERT_FILE and SSL_CERT_DIR are honoured), or `trusted_pem` when that is not
    /// empty, alone or `beside_system`. `protocols`: ALPN, best first. Throws StartupError, also when there is nothing
    /// to trust.
    explicit ClientContext(std::string_view trusted_pem = {}, bool beside_system = false,
                           const std::vector<std::string>& protocols = {"h2", "http/1.1"}, Now now = Clock::now);
    ClientContext(const ClientContext&) = delete;
    ClientContext& operator=(const ClientContext&) = delete;

    /// In connect state, without a BIO: server name (not for an address), the name or address to verify, and the
    /// last session with this origin. `host` is canonical. `options`: what is special for it; may be null.
    Result<SslPtr> make_ssl(const std::string& host, std::uint16_t port,
                            std::shared_ptr<const OriginOptions> options = nullptr) const;

    std::size_t sessions() const;

private:
    X509StorePtr make_store() const;
    X509StorePtr store_for(const OriginOptions&) const;
    bool apply(SSL*, const OriginOptions&) const;
    static void note_alert(const SSL*, int where, int alert);
    static int note_asked(SSL*, void*);
    static int verified_so_far(int ok, X509_STORE_CTX*);
    static int keep_session(SSL*, SSL_SESSION*);
    struct Session {
        SessionPtr session;
        Clock::time_point verified;
    };
    Session find_session(const std::string& key) const;

    const std::string trusted_pem_;
    const bool trusts_system_;
    const Now now_;
    SslCtxPtr context_;
    mutable std::mutex mutex_;
    mutable LruMap<Session> sessions_;
    mutable LruMap<X509StorePtr> stores_;  ///< the system's authorities and an origin's own, by the options' id
};

/// Why the origin's certificate was refused, for an operator: "certificate is for other.example, not api.example"; or
/// which option of ours it did not meet. Empty when neither is what failed. Text that the origin chose is reduced to
/// plain host name characters.
std::string verify_failure_text(const SSL*);

}  // namespace sallyport::tls
