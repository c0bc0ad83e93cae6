#pragma once
// The requests of one HTTP/1.1 connection, one after another, each judged anew.

#include "gateway/http/http1_ends.hpp"
#include "gateway/session/request_service.hpp"

namespace sallyport::session {

class Http1Service {
public:
    /// All references outlive run(). The client's stream is under TLS already where `facts.tls`.
    Http1Service(Gateway&, net::Stream& client, ConnectionFacts facts, RequestSource);

    /// Serves until the connection ends or must end.
    boost::asio::awaitable<void> run();
    /// One was judged, so that the audit log has a line of it.
    bool any_request() const { return any_request_; }

    // The steps of it, for the explicit proxy, where each request names its own destination.

    /// The next head, for at most `idle` until it begins. What cannot be read is answered; nothing: it is over.
    boost::asio::awaitable<std::optional<wire::RequestHead>> next(std::chrono::seconds idle);
    /// For the requests from now on.
    void set_facts(ConnectionFacts facts) { facts_ = std::move(facts); }
    /// One request, the last that next() gave. False when the connection cannot be used again.
    boost::asio::awaitable<bool> serve(wire::RequestHead head);
    /// Answers it with the refusal and records that. False as for serve().
    boost::asio::awaitable<bool> refuse(Refusal, const wire::RequestHead&);
    /// What came behind the last head.
    std::string take_rest() { return reader_.take_buffered_input(); }

private:
    boost::asio::awaitable<void> refuse_unreadable(const Error&);
    boost::asio::awaitable<bool> end_of_request(const http::Http1ClientEnd&, bool answered);

    Gateway& gateway_;
    net::Stream& client_;
    ConnectionFacts facts_;
    const RequestSource source_;
    http::Http1Reader<true> reader_;
    net::Clock::time_point request_began_;
    bool any_request_ = false;
};

}  // namespace sallyport::session
