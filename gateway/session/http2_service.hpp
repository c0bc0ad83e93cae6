#pragma once
// The requests of one HTTP/2 connection, side by side, each judged for itself.

#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "gateway/http/http2_ends.hpp"
#include "gateway/session/request_service.hpp"

namespace sallyport::session {

/// Owned by its coroutines: by that of the connection and by those of its requests.
class Http2Service : public std::enable_shared_from_this<Http2Service> {
public:
    /// What is passed by reference outlives run(). The client's stream is under TLS already where `facts.tls`; it has
    /// agreed to HTTP/2, or begins with its preface.
    Http2Service(Gateway&, net::Stream& client, ConnectionFacts facts, RequestSource);

    /// Serves until the connection has ended, and its requests with it.
    boost::asio::awaitable<void> run();
    /// One was judged, so that the audit log has a line of it.
    bool any_request() const { return any_request_; }

private:
    using StreamPtr = http::Http2Connection::StreamPtr;
    boost::asio::awaitable<void> accept_all(const boost::asio::any_io_executor&);
    boost::asio::awaitable<void> serve(StreamPtr, boost::asio::any_io_executor);
    void end_without_memory();

    Gateway& gateway_;
    net::Stream& client_;
    const ConnectionFacts facts_;
    const RequestSource source_;
    http::Http2Connection connection_{http::Http2Session::Role::server};
    std::size_t requests_ = 0;  ///< being served
    bool any_request_ = false;
    boost::asio::steady_timer request_ended_;
};

}  // namespace sallyport::session
