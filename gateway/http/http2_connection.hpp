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

    /// Towards a client we are the server. Windows are what a peer can make us hold for one stream and for all. A client
    /// is near, so that little is enough for a stream; and what all of them may hold together leaves half of the
    /// connection's to others, as nghttp2 gives credit back by halves: uploads that stand still hold up no other.
    static constexpr Http2Limits kTowardsClients{64 * 1024, 16 * 1024 * 1024, 100};
    /// Larger, since the way to an origin is longer than that to a client.
    static constexpr Http2Limits kTowardsOrigins{1024 * 1024, 32 * 1024 * 1024, 0};

    explicit Http2Connection(Http2Session::Role);
    Http2Connection(const Http2Connection&) = delete;
    Http2Connection& operator=(const Http2Connection&) = delete;

    /// Reads and writes until the connection has ended; its streams have then. `stream` must live until it returns, the
    /// frames of the coroutine must not outlive this object. Its lifeline's phase is set here: `idle` without a stream,
    /// `head` from the first to the last byte of a header block.
    boost::asio::awaitable<void> run(net::Stream& stream, std::chrono::seconds idle, std::chrono::seconds head);

    /// As a server: the next stream that a request came on. Null: the connection has ended, or is to end as it was idle.
    boost::asio::awaitable<StreamPtr> next_request(net::Lifeline&, const boost::asio::any_io_executor&);

    /// To change a stream: what it has to say is sent without further ado.
    Http2Session& session() { return session_; }
    void flush();
    bool ended() const { return ended_; }

private:
    net::Task<void> read_all(net::Stream&);
    net::Task<void> write_all(net::Stream&);
    void look_after_phase(net::Lifeline&);

    Http2Session session_;
    enum class Phase { idle, head, busy };

    std::chrono::seconds idle_{};
    std::chrono::seconds head_{};
    Phase phase_ = Phase::idle;
    bool ended_ = false;
    net::LifelineTimer* writer_ = nullptr;     ///< to wake, while it runs
    net::LifelineTimer* acceptor_ = nullptr;
};

}  // namespace sallyport::http
