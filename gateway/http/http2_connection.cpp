#include "gateway/http/http2_connection.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <utility>

#include "gateway/base/block_cache.hpp"

namespace sallyport::http {
namespace {

using net::Task;

constexpr std::size_t kWriteBlock = 64 * 1024;
constexpr std::chrono::hours kBusy{24};  // without a byte; each exchange has a limit of its own

// Uploads that stand still, all of them, leave others their credit.
constexpr auto& kClients = Http2Connection::kTowardsClients;
static_assert(std::int64_t{kClients.stream_window} * kClients.streams <= kClients.connection_window / 2);

/// Registers a timer for others to wake, as long as the coroutine lives in whose frame this is.
class Wakeable {
public:
    Wakeable(net::LifelineTimer*& slot, const boost::asio::any_io_executor& executor, net::Lifeline& lifeline)
        : timer_(executor, lifeline), slot_(slot) {
        slot_ = &timer_;
    }
    ~Wakeable() { slot_ = nullptr; }
    Wakeable(const Wakeable&) = delete;
    Wakeable& operator=(const Wakeable&) = delete;
    boost::asio::awaitable<void> wait() { return timer_.wait_until(net::Clock::time_point::max()); }

private:
    net::LifelineTimer timer_;
    net::LifelineTimer*& slot_;
};

/// Whatever is thrown (memory may run out) ends this connection, like any error of it, and nothing else.
Task<void> guarded(Http2Connection& connection, Task<void> task, net::Stream& stream) {
    try {
        co_return co_await std::move(task);
    } catch (const std::exception& thrown) {
        stream.abort();
        connection.flush();  // the writer may be waiting for something to write
        co_return Error{ErrorKind::io, thrown.what()};
    }
}

}  // namespace

Http2Connection::Http2Connection(Http2Session::Role role)
    : session_(role, role == Http2Session::Role::server ? kTowardsClients : kTowardsOrigins),
      with_client_(role == Http2Session::Role::server) {}

boost::asio::awaitable<void> Http2Connection::run(net::Stream& stream, Http2Times times) {
    using namespace boost::asio::experimental::awaitable_operators;
    times_ = times;
    look_after_phase(stream.lifeline());
    auto [read, written] =
        co_await (guarded(*this, read_all(stream), stream) && guarded(*this, write_all(stream), stream));
    ended_ = true;
    if (!read && read.error().kind == ErrorKind::timed_out) {
        // Nothing is waited for any more, but what fits into the socket's buffer still goes.
        session_.shut_down();
        const auto last_words = session_.next_output();
        if (last_words) co_await stream.write(*last_words);
    }
    const Error closed{ErrorKind::end_of_stream, "closed"};
    if (!read && read.error().kind == ErrorKind::cancelled && !written) read = written;  // which ended the reading
    const Error& reason = read ? closed : read.error();
    session_.fail(reason, reason.kind == ErrorKind::end_of_stream || reason.kind == ErrorKind::io);
    if (acceptor_) acceptor_->wake();
    stream.shutdown_write();
}

void Http2Connection::flush() {
    if (writer_) writer_->wake();
}

void Http2Connection::look_after_phase(net::Lifeline& lifeline) {
    auto phase = session_.streams() == 0 ? Phase::idle : Phase::busy;
    if (writing_) phase = Phase::unread;
    if (session_.head_under_way()) phase = Phase::head;
    if (phase == std::exchange(phase_, phase)) return;
    const auto owed = with_client_ ? &net::Lifeline::expect_of_client : &net::Lifeline::expect_within;
    switch (phase) {
        case Phase::none:
            return;
        case Phase::idle:
            return (lifeline.*owed)(times_.idle, "idle between requests");
        case Phase::head:
            return (lifeline.*owed)(times_.head, "the head of a message");
        case Phase::unread:
            return lifeline.expect_within(times_.unread, "the peer reads nothing");
        case Phase::busy:
            return lifeline.expect_within(kBusy, "no byte in either direction");
    }
}

/// Until the connection fails or the peer may not say more.
Task<void> Http2Connection::read_all(net::Stream& stream) {
    Result<void> result;
    while (!session_.finished() && result) {
        result = co_await stream.wait_readable();
        if (!result) break;
        auto block = BlockCache::take();  // not held while nothing comes
        const auto n = co_await stream.read_some({block.get(), BlockCache::kBlock});
        if (!n) {
            result = n.error();
            break;
        }
        result = session_.receive({block.get(), *n});
        BlockCache::give_back(std::move(block), *n);
        if (!session_.head_under_way()) stream.lifeline().progress();  // a head has its time for the whole of it
        look_after_phase(stream.lifeline());
        flush();
        if (acceptor_) acceptor_->wake();
    }
    if (!result) stream.abort();
    flush();
    co_return result;
}

/// Until the connection fails or neither side has anything to say.
Task<void> Http2Connection::write_all(net::Stream& stream) {
    Wakeable woken(writer_, stream.socket().get_executor(), stream.lifeline());
    std::string block;
    Result<void> result;
    while (result) {
        while (block.size() < kWriteBlock) {
            const auto output = session_.next_output();
            if (!output) result = output.error();
            if (!output || output->empty()) break;
            block += *output;
        }
        writing_ = !block.empty();
        look_after_phase(stream.lifeline());
        if (writing_) {
            const auto sent = co_await stream.write(block);
            if (!sent) result = sent;
            block.clear();
        } else if (session_.finished()) {
            break;
        } else if (stream.lifeline().ended()) {
            result = stream.lifeline().reason();
        } else if (stream.aborted()) {
            result = Error{ErrorKind::cancelled, "cancelled"};
        } else {
            block.shrink_to_fit();  // an idle connection holds no buffer
            co_await woken.wait();
        }
    }
    stream.abort();
    co_return result;
}

boost::asio::awaitable<Http2Connection::StreamPtr> Http2Connection::next_request(
    net::Lifeline& lifeline, const boost::asio::any_io_executor& executor) {
    Wakeable woken(acceptor_, executor, lifeline);
    for (;;) {
        if (auto stream = session_.take_request()) co_return stream;
        if (ended_) co_return nullptr;
        co_await woken.wait();
        if (lifeline.ended()) co_return nullptr;
    }
}

}  // namespace sallyport::http
