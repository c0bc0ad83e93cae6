#pragma once
// Connections to origins: dialled by name, verified, and kept for the next request to the same place.
// One pool for each thread; it knows nothing of policy: a caller that has a permit says where to go.

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "gateway/http/http1_ends.hpp"
#include "gateway/net/dialler.hpp"
#include "gateway/tls/client_context.hpp"

namespace sallyport::http {

/// Where a connection leads. Connections are shared only between requests for which all of this is equal.
struct OriginKey {
    std::string host;
    std::uint16_t port = 0;
    bool tls = false;
    bool private_addresses = false;

    std::string text() const;
};

class OriginPool {
public:
    static constexpr std::size_t kMaxIdle = 256;
    static constexpr std::chrono::seconds kIdleTime{30};

    OriginPool(net::Dialler& dialler, const tls::ClientContext& tls) : dialler_(dialler), tls_(tls) {}

    /// For one exchange, over an idle connection or a new one; never an idle one when `fresh`. Errors are sentences for
    /// the person behind the client.
    net::Task<std::unique_ptr<OriginEnd>> acquire(OriginKey, net::Lifeline&, bool fresh);

private:
    struct Idle {
        std::string key;
        std::unique_ptr<Http1Connection> connection;
        net::Clock::time_point since;
    };

    std::unique_ptr<Http1Connection> take_idle(const std::string& key);
    net::Task<std::unique_ptr<Http1Connection>> connect(const OriginKey&, net::Lifeline&);
    void keep(std::string key, std::unique_ptr<Http1Connection>);
    void drop_old();

    net::Dialler& dialler_;
    const tls::ClientContext& tls_;
    std::list<Idle> idle_;   ///< oldest first
};

}  // namespace sallyport::http
