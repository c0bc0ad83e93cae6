#pragma once
// The requests of one HTTP/1.1 connection, each judged anew.

#include "gateway/base/endpoint.hpp"
#include "gateway/http/exchange.hpp"
#include "gateway/http/http1_reader.hpp"
#include "gateway/session/gateway.hpp"

namespace sallyport::session {

class HttpService {
public:
    /// All references outlive run(). The client's stream is under TLS already where `facts.tls`.
    HttpService(Gateway&, net::Stream& client, ConnectionFacts facts, ClientAddr, OriginalDst);

    /// Serves until the connection ends or must end.
    boost::asio::awaitable<void> run();

    // The steps of it, for the explicit proxy, where each request names its own destination.

    /// The next head, for at most `idle` until it begins. What cannot be read is answered; nothing: it is over.
    boost::asio::awaitable<std::optional<wire::RequestHead>> next(std::chrono::seconds idle);
    /// For the requests from now on.
    void set_facts(ConnectionFacts facts) { facts_ = std::move(facts); }
    /// One request, the last that next() gave. False when the connection cannot be used again.
    boost::asio::awaitable<bool> serve(wire::RequestHead head);
    /// Answers it with the refusal and records that.
    boost::asio::awaitable<bool> refuse(Refusal, const wire::RequestHead&);
    /// What came behind the last head.
    std::string take_rest() { return reader_.take_buffered_input(); }

private:
    boost::asio::awaitable<http::ExchangeOutcome> forward(const Permit&, wire::RequestHead&);
    /// What the client is told of an exchange that brought no response; nothing when nobody listens.
    std::optional<Refusal> failure(const Permit&, const std::string& method, const http::ExchangeOutcome&);
    /// Answers with the refusal and records it; the same for a failure of the origin.
    boost::asio::awaitable<bool> refuse(Refusal, bool json, const wire::RequestHead&, audit::RequestEvent);
    boost::asio::awaitable<void> refuse_unreadable(const Error&);
    boost::asio::awaitable<void> linger();
    void note_audit_mode(const Permit&, audit::RequestEvent&) const;
    audit::RequestEvent new_event() const;
    void record(audit::RequestEvent);

    Gateway& gateway_;
    net::Stream& client_;
    ConnectionFacts facts_;
    const ClientAddr client_address_;
    const OriginalDst original_;
    http::Http1Reader<true> reader_;
    net::Clock::time_point request_began_;
    std::optional<std::string> private_origin_;   ///< what kind of address the last origin has, if not a public one
};

}  // namespace sallyport::session
