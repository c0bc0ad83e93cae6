#pragma once
// One request after its head was read: judged, sent to its origin or refused, and recorded. What version of HTTP it
// came by makes no difference here.

#include <set>

#include "gateway/base/endpoint.hpp"
#include "gateway/http/exchange.hpp"
#include "gateway/session/gateway.hpp"

namespace sallyport::session {

/// Of a connection: who sent its requests, and where to.
struct RequestSource {
    ClientAddr client;
    OriginalDst original;
};

/// The origin of requests that came over this connection.
http::OriginKey origin_key(const Way&, const ConnectionFacts&);

class RequestService {
public:
    /// All references outlive it. `began`: when the request's first byte came.
    RequestService(Gateway&, const RequestSource&, const ConnectionFacts&, http::ClientEnd&,
                   net::Clock::time_point began);

    /// Answers it. False when the answer could not be given whole: the end was cut.
    boost::asio::awaitable<bool> serve(wire::RequestHead);
    /// Answers it with the refusal and records that. False when nobody took it.
    boost::asio::awaitable<bool> refuse(Refusal, const wire::RequestHead&);
    /// The same for a head that cannot be read, so that its sender learns why; nothing where the connection has ended.
    boost::asio::awaitable<bool> refuse_unreadable(const Error&);

private:
    boost::asio::awaitable<http::ExchangeOutcome> forward(const Permit&, wire::RequestHead&);
    /// What the client is told of an exchange that brought no response; nothing when nobody listens.
    std::optional<Refusal> failure(const Permit&, const std::string& method, const http::ExchangeOutcome&);
    boost::asio::awaitable<bool> refuse(Refusal, const wire::RequestHead&, audit::RequestEvent);
    void note_audit_mode(const Permit&, audit::RequestEvent&) const;
    audit::RequestEvent new_event() const;
    void record(audit::RequestEvent);

    Gateway& gateway_;
    const RequestSource& source_;
    const ConnectionFacts& facts_;
    http::ClientEnd& client_;
    const net::Clock::time_point began_;
    std::optional<std::string> private_origin_;  ///< what kind of address the origin has, if not a public one
    std::set<std::string> injected_;             ///< secrets that were put into the body
    std::vector<std::string> scrubbed_;          ///< secrets that were taken out of the response
    std::string alarm_;                          ///< one that was in a tunnel
};

}  // namespace sallyport::session
