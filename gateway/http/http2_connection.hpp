#pragma once
// An HTTP/2 connection over a stream: one coroutine reads, one writes, the exchanges go on beside them.

#include <memory>

#include "gateway/http/http2_session.hpp"
#include "gateway/net/lifeline_timer.hpp"
#include "gateway/net/stream.hpp"

namespace sallyport::http {

struct Http2Times {
    std::chrono::seconds idle;    ///< without a stream
    std::chrono::seconds head;    ///< from the first to the last byte of a header block
    std::chrono::seconds unread;  ///< for the peer to take a byte of what we have to say
};

class Http2Connection {
public:
    using StreamPtr = Http2Session::StreamPtr;

    /// Towards a client we are the server. Windows are what a peer can make us hold for one stream and for all. A
    /// client is near, but little credit cuts its bodies often, and a cut that leaves less than 2 KiB of one whose
    /// length it did not know makes curl before 8.7 overlook the end: git push hangs. What all streams may hold
    /// together leaves half of the connection's to others, as nghttp2 gives credit back by halves: uploads that stand
    /// still hold up no other.
    static constexpr Http2Limits kTowardsClients{256 * 1024, 64 * 1024 * 1024, 100};
    /// Larger, since the way to an origin is longer than that to a client.
    static constexpr Http2Limits kTowardsOrigins{1024 * 1024, 32 * 1024 * 1024, 0};

    explicit Http2Connection(Http2Session::Role);
    Http2Connection(const Http2Connection&) = delete;
    Http2Connection& operator=(const Http2Connection&) = delete;

    /// Reads and writes until the connection has ended; its streams have then. `stream` must live until it returns, the
    /// frames of the coroutine must not outlive this object. Its lifeline's phase is set here.
    boost::asio::awaitable<void> run(net::Stream& stream, Http2Times times);

    /// As a server: the next stream that a request came on. Null: the connection has ended, or is to end as it was
    /// idle.
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
    enum class Phase { none, idle, head, unread, busy };

    const bool with_client_;
    Http2Times times_{};
    Phase phase_ = Phase::none;
    bool writing_ = false;
    bool ended_ = false;
    net::LifelineTimer* writer_ = nullptr;  ///< to wake, while it runs
    net::LifelineTimer* acceptor_ = nullptr;
};

}  // namespace sallyport::http
