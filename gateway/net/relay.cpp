#include "gateway/net/relay.hpp"

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>

namespace sallyport::net {
namespace {

constexpr std::size_t kBlock = 16 * 1024;

/// One direction, to the end of what `from` sends.
Task<void> pump(Stream& from, Stream& to, std::uint64_t& count) {
    std::array<char, kBlock> block;
    for (;;) {
        const auto n = co_await from.read_some(block);
        if (!n && n.error().kind == ErrorKind::end_of_stream) break;
        if (!n) {
            from.abort();
            to.abort();
            co_return n.error();
        }
        from.lifeline().progress();
        if (auto written = co_await to.write({block.data(), *n}); !written) {
            from.abort();
            to.abort();
            co_return written;
        }
        count += *n;
    }
    to.shutdown_write();
    co_return Result<void>{};
}

}  // namespace

Task<void> relay(Stream& client, Stream& origin, RelayCount& count) {
    using namespace boost::asio::experimental::awaitable_operators;
    auto [up, down] = co_await (pump(client, origin, count.from_client) && pump(origin, client, count.from_origin));
    // The first real failure is the reason; the other direction was only cancelled for it.
    if (!up && up.error().kind != ErrorKind::cancelled) co_return up;
    if (!down) co_return down;
    co_return up;
}

}  // namespace sallyport::net
