#pragma once
// An HTTP/2 connection over a stream: one coroutine reads, one writes, the exchanges go on beside them.

#include <memory>

#include "gateway/http/http2_session.hpp"
#include "gateway/net/lifeline_timer.hpp"
#include "gateway/net/stream.hpp"

namespace sallyport::http {

class Http2Connection {
public:
    using StreamPtr = Http2Session::StreamPtr;

    /// Towards a client we are the server. Windows are what a peer can make us hold for one stream and for all.
    static constexpr Http2Limits kTowardsClients{256 * 1024, 1024 * 1024, 100};
    /// Larger, since the way to an origin is longer than that to a client.
    static constexpr Http2Limits kTowardsOrigins{1024 * 1024, 16 * 1024 * 1024, 0};

    explicit Http2Connection(Http2Session::Role);
    Http2Connection(const Http2Connection&) = delete;
    Http2Connection& operator=(const Http2Connection&) = delete;

    /// Reads and writes until the connection has ended; its streams have then. `stream` must live until it returns, the
    /// frames of the coroutine must not outlive this object. Its lifeline's phase is set here: `idle` without a stream.
    boost::asio::awaitable<void> run(net::Stream& stream, std::chrono::seconds idle);

    /// As a server: the next stream that a request came on. Null: the connection has ended, or is to end as it was idle.
    boost::asio::awaitable<StreamPtr> next_request(net::Lifeline&, const boost::asio::any_io_executor&);

    /// To change a stream: what it has to say is sent without further ado.
    Http2Session& session() { return session_; }
    void flush();
    bool ended() const { return ended_; }

private:
    net::Task<void> read_all(net::Stream&);
    net::Task<void> write_all(net::Stream&);
    void look_after_idleness(net::Lifeline&);

    Http2Session session_;
    const Http2Session::Role role_;
    std::chrono::seconds idle_{};
    bool was_idle_ = false;
    bool ended_ = false;
    net::LifelineTimer* writer_ = nullptr;     ///< to wake, while it runs
    net::LifelineTimer* acceptor_ = nullptr;
};

}  // namespace sallyport::http
