#pragma once
// What the sessions of one thread share. Owned by the application, which outlives every session.

#include <chrono>

#include "gateway/audit/audit.hpp"
#include "gateway/dns/virtual_addresses.hpp"
#include "gateway/http/exchange.hpp"
#include "gateway/http/origin_pool.hpp"
#include "gateway/net/dialler.hpp"
#include "gateway/net/lifeline.hpp"
#include "gateway/session/live_rules.hpp"
#include "gateway/tls/leaf_cache.hpp"
#include "gateway/tls/server_context.hpp"

namespace sallyport::session {

/// Times after which a session without progress ends.
struct TimeLimits {
    std::chrono::seconds hello{10};               ///< until the connection has said what it is
    std::chrono::seconds head{30};                ///< from a request's first byte to the end of its head
    std::chrono::seconds keep_alive{300};         ///< between two requests
    std::chrono::seconds connect{20};             ///< resolution, connection and handshake with the origin
    std::chrono::seconds exchange{3600};          ///< without a byte in either direction
    http::TunnelLimits tunnel;                    ///< instead of `exchange`, where bytes are relayed that are no HTTP
    std::chrono::seconds linger{2};               ///< for the client to read a refusal
    std::chrono::milliseconds server_first{300};  ///< for the client to speak, where the server may begin
};

struct Gateway {
    /// Requests over HTTP/2 at a time, of all clients: each may make us hold a head and a window. Over HTTP/1.1 there
    /// is one on a connection.
    static constexpr std::size_t kMaxStreams = 8192;

    LiveRules& rules;
    const tls::ServerContext& server_tls;
    tls::LeafCache& leaves;
    dns::VirtualAddresses& virtual_addresses;
    net::Dialler& dialler;
    http::OriginPool& origins;
    net::Watchdog& watchdog;
    audit::Audit& audit;
    TimeLimits limits;
    std::size_t streams = 0;  ///< being served
};

}  // namespace sallyport::session
