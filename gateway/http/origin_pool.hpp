#pragma once
// Connections to origins: dialled by name, verified, and kept for the next request to the same place.
// One pool for each thread; it knows nothing of policy: a caller that has a permit says where to go.

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "gateway/http/http1_reader.hpp"
#include "gateway/net/dialler.hpp"
#include "gateway/net/stream.hpp"
#include "gateway/tls/client_context.hpp"

namespace sallyport::http {

/// Where a connection leads. Connections are shared only between requests for which all of this is equal.
struct OriginKey {
    std::string host;
    std::uint16_t port = 0;
    bool tls = false;
    bool private_addresses = false;
    std::shared_ptr<const tls::OriginOptions> options;   ///< of TLS; null: nothing special

    std::string text() const;
};

struct OriginConnection {
    OriginConnection(net::Socket socket, net::Lifeline& lifeline) : stream(std::move(socket), lifeline), reader(stream) {}

    net::Stream stream;
    Http1Reader<false> reader;
    bool reused = false;
};

class OriginPool {
public:
    static constexpr std::size_t kMaxIdle = 256;
    static constexpr std::chrono::seconds kIdleTime{30};

    OriginPool(net::Dialler& dialler, const tls::ClientContext& tls) : dialler_(dialler), tls_(tls) {}

    /// An idle connection, or a new one; never an idle one when `fresh`. It belongs to the lifeline's session until
    /// it is given back. Errors are sentences for the person behind the client.
    net::Task<std::unique_ptr<OriginConnection>> acquire(OriginKey, net::Lifeline&, bool fresh);
    /// Keeps it for the next request. Only after an exchange that left it reusable.
    void give_back(const OriginKey&, std::unique_ptr<OriginConnection>);

private:
    struct Idle {
        std::string key;
        std::unique_ptr<OriginConnection> connection;
        net::Clock::time_point since;
    };

    std::unique_ptr<OriginConnection> take_idle(const std::string& key);
    void drop_old();

    net::Dialler& dialler_;
    const tls::ClientContext& tls_;
    std::list<Idle> idle_;   ///< oldest first
};

}  // namespace sallyport::http
