#include "gateway/net/relay.hpp"

#include <poll.h>

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "gateway/net/io_error.hpp"
#include "gateway/net/pipe.hpp"

namespace sallyport::net {
namespace {

constexpr std::size_t kBlock = 16 * 1024;  // what fits into a TLS record
constexpr int kMostUnpaused = 16;          // pieces: about one megabyte

bool was_reset(Stream& stream) {
    pollfd fd{stream.socket().native_handle(), 0, 0};
    return ::poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR);
}

/// While one side takes nothing, nobody reads the other one, whose reset would go unnoticed: the watchdog asks for it.
class ResetWatch final : public Cancellable {
public:
    ResetWatch(Stream& client, Stream& origin) : client_(client), origin_(origin) {
        client_.lifeline().watch_client(this);
    }
    ~ResetWatch() { client_.lifeline().watch_client(nullptr); }
    ResetWatch(const ResetWatch&) = delete;
    ResetWatch& operator=(const ResetWatch&) = delete;

    bool noticed() const { return was_reset(client_) || was_reset(origin_); }
    void cancel() override {}
    bool peer_gone() override { return blocked > 0 && noticed(); }

    int blocked = 0;  ///< directions that wait for their writer

private:
    Stream& client_;
    Stream& origin_;
};

struct Direction {
    Stream& from;
    Stream& to;
    std::uint64_t& count;
    ResetWatch& watch;
};

/// Moves what waits in the socket. Returns when nothing does any more.
Task<void> splice_waiting(Direction way, Pipe& pipe) {
    const int from = way.from.socket().native_handle();
    const int to = way.to.socket().native_handle();
    for (int unpaused = 0;; ++unpaused) {
        if (unpaused == kMostUnpaused) {
            if (auto go_on = co_await way.from.let_others_run(); !go_on) co_return go_on;
            unpaused = 0;
        }
        const auto filled = pipe.fill(from);
        if (!filled) co_return filled.error();
        if (*filled == 0) co_return Result<void>{};
        way.from.lifeline().progress();
        while (pipe.pending() > 0) {
            const auto drained = pipe.drain(to);
            if (!drained) co_return drained.error();
            if (*drained > 0) {
                way.count += *drained;
                way.from.lifeline().progress();
                continue;
            }
            ++way.watch.blocked;
            const auto ready = co_await way.to.wait_writable();
            --way.watch.blocked;
            if (!ready) co_return ready;
            unpaused = 0;
        }
    }
}

/// One piece through a buffer, at most kBlock.
Task<std::size_t> copy_piece(Direction way) {
    std::array<char, kBlock> block;
    const auto n = co_await way.from.read_some(block);
    if (!n) co_return n.error();
    way.from.lifeline().progress();
    ++way.watch.blocked;
    const auto written = co_await way.to.write({block.data(), *n});
    --way.watch.blocked;
    if (!written) co_return written.error();
    way.count += *n;
    co_return *n;
}

/// To the end of what `from` sends, which is an error like others.
Task<void> move_all(Direction way) {
    for (;;) {
        if (auto ready = co_await way.from.wait_readable(); !ready) co_return ready;
        const auto first = co_await copy_piece(way);
        if (!first) co_return first.error();
        // A keystroke is not worth a pipe, and a full piece has more behind it.
        if (*first < kBlock || !way.from.is_raw() || way.to.ssl()) continue;
        if (auto pipe = Pipe::make())
            if (auto moved = co_await splice_waiting(way, *pipe); !moved) co_return moved;
    }
}

Task<void> pump(Direction way) {
    const auto ended = co_await move_all(way);
    const bool in_order = ended.error().kind == ErrorKind::end_of_stream && !way.from.lifeline().ended();
    if (in_order) {
        way.to.shutdown_write();
        co_return Result<void>{};
    }
    way.from.abort();
    way.to.abort();
    co_return ended;
}

}  // namespace

Task<void> relay(Stream& client, Stream& origin, RelayCount& count) {
    using namespace boost::asio::experimental::awaitable_operators;
    ResetWatch watch(client, origin);
    const Direction to_origin{client, origin, count.from_client, watch};
    const Direction to_client{origin, client, count.from_origin, watch};
    const auto [up, down] = co_await (pump(to_origin) && pump(to_client));
    if (up && down) co_return up;
    const bool was_noticed = watch.noticed();
    client.reset();  // a FIN would tell either that what it got is complete
    origin.reset();
    if (was_noticed) co_return io_error(ECONNRESET);
    // The first real failure is the reason; the other direction was only cancelled for it.
    if (!up && up.error().kind != ErrorKind::cancelled) co_return up;
    if (!down) co_return down;
    co_return up;
}

}  // namespace sallyport::net
