#pragma once
// Connections to origins: dialled by name, verified, and kept for the next request to the same place. Over HTTP/2 one
// connection carries the requests of everybody. One pool for each thread; it knows nothing of policy: a caller that has
// a permit says where to go.

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "gateway/base/lru_map.hpp"
#include "gateway/http/http1_ends.hpp"
#include "gateway/http/http2_ends.hpp"
#include "gateway/net/dialler.hpp"
#include "gateway/tls/client_context.hpp"

namespace sallyport::http {

/// Where a connection leads. Connections are shared only between requests for which all of this is equal.
struct OriginKey {
    /// What is spoken there. `negotiated`: by ALPN, HTTP/1.1 without TLS.
    enum class Protocol { negotiated, http1, http2 };

    std::string host;
    std::uint16_t port = 0;
    bool tls = false;
    bool private_addresses = false;
    Protocol protocol = Protocol::negotiated;
    std::shared_ptr<const tls::OriginOptions> options;  ///< of TLS; null: nothing special

    std::string text() const;
};

class OriginPool {
public:
    static constexpr std::size_t kMaxIdle = 256;  ///< of connections that carry one request at a time
    static constexpr std::size_t kMaxWarm = 16;   ///< of these: that keep their buffers
    static constexpr std::chrono::seconds kIdleTime{30};
    static constexpr std::chrono::seconds kUnreadTime{300};  ///< for an origin of HTTP/2 to take a byte

    OriginPool(net::Dialler&, const tls::ClientContext&, net::Watchdog&);
    ~OriginPool();

    /// For one exchange, over a connection that is there already or a new one; never an idle one that may have gone
    /// when `fresh`. Errors are sentences for the person behind the client.
    net::Task<std::unique_ptr<OriginEnd>> acquire(OriginKey, net::Lifeline&, bool fresh);
    /// Whether the origin took HTTP/2 when it was asked last; nullopt: not known.
    std::optional<bool> speaks_http2(const OriginKey&);
    /// Asks it, by a connection that is kept for the first request.
    net::Task<bool> ask_for_http2(OriginKey, net::Lifeline&);

private:
    struct Http2Origin;
    using Http2Ptr = std::shared_ptr<Http2Origin>;
    struct Idle {
        std::unique_ptr<Http1Connection> connection;
        net::Clock::time_point since;
    };
    /// What is there for a request: at most one of them.
    struct Found {
        std::unique_ptr<Http1Connection> http1;
        Http2Ptr http2;
    };
    class Dialling;

    Found find(const std::string& key, bool fresh);
    std::unique_ptr<Http1Connection> take_idle(const std::string& key);
    void drop_old();
    void keep(std::unique_ptr<Http1Connection>);
    net::Task<Found> find_or_connect(const OriginKey&, net::Lifeline&, bool fresh);
    net::Task<Found> connect(const OriginKey&, std::string text, net::Lifeline&);
    net::Task<void> start_tls(const OriginKey&, net::Stream&);
    Http2Ptr start_http2(std::unique_ptr<Http1Connection>);

    net::Dialler& dialler_;
    const tls::ClientContext& tls_;
    net::Watchdog& watchdog_;
    std::list<Idle> idle_;  ///< oldest first
    std::multimap<std::string, Http2Ptr> http2_;
    LruMap<bool> speaks_http2_{4096};                                 ///< by key, as it was seen last
    std::map<std::string, std::list<net::LifelineTimer*>> dialling_;  ///< and who waits for the outcome
};

}  // namespace sallyport::http
