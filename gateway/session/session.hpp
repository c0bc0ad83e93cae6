#pragma once
// One connection of the sandbox, from its first bytes to audit. Whether the kernel redirected it or it is the inside
// of a tunnel through the explicit proxy makes no difference here.
//
//   destination -> first bytes -> tls | http | other, name -> decide
//     -> refuse | pass through | intercept -> each request: Http1Service, Http2Service
//
// The client's lifeline ends it. Nothing is dialled before a decision.

#include <string>

#include "gateway/base/endpoint.hpp"
#include "gateway/net/stream.hpp"
#include "gateway/session/gateway.hpp"
#include "gateway/wire/client_hello.hpp"
#include "gateway/wire/detect.hpp"

namespace sallyport::session {

class Session {
public:
    /// `client` outlives run(). `dialled` is what the client asked for: it counts where the bytes prove nothing else.
    Session(Gateway&, net::Stream& client, ClientAddr, OriginalDst, policy::Destination dialled);

    boost::asio::awaitable<void> run();
    /// `rule` is the one that decided, as "file:line".
    void refuse(const char* protocol, std::string host, std::string why, std::string rule = {});

private:
    boost::asio::awaitable<void> serve();
    boost::asio::awaitable<void> serve_tls();
    boost::asio::awaitable<void> serve_http(ConnectionFacts);
    boost::asio::awaitable<bool> origin_may_speak_http2(const ConnectionFacts&);
    boost::asio::awaitable<void> serve_stream(policy::Destination, const char* protocol);

    bool server_may_begin() const;
    boost::asio::awaitable<bool> waits_for_greeting(const policy::Destination&);
    std::optional<StreamPermit> permit_stream(const policy::Destination&, const char* protocol);
    audit::ConnectionEvent connection_event(std::string host, const char* protocol) const;
    net::Task<wire::Protocol> read_protocol();
    net::Task<wire::ClientHelloResult> read_hello();
    net::Task<void> read_more();
    net::Task<void> intercept(const std::string& name, bool http2);

    Gateway& gateway_;
    net::Stream& client_;
    const ClientAddr client_address_;
    const OriginalDst original_;
    policy::Destination dialled_;
    std::optional<audit::ConnectionEvent> question_;  ///< to the origin, until there is a request that shows as much
    std::string prefix_;                              ///< bytes read ahead, until something else reads the stream
    audit::Time began_ = std::chrono::system_clock::now();
    net::Clock::time_point began_steady_ = net::Clock::now();
};

/// A connection that the kernel redirected, to where it was going.
boost::asio::awaitable<void> serve_redirected(Gateway&, net::Socket);

}  // namespace sallyport::session
