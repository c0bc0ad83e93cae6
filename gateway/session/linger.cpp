#include "gateway/session/linger.hpp"

#include <array>

namespace sallyport::session {

boost::asio::awaitable<void> linger(net::Stream& client, std::chrono::seconds time) {
    constexpr std::size_t kMost = 64 * 1024 * 1024;  // clients that send all of a body before they read
    client.shutdown_write();
    client.lifeline().expect_of_client(time, "lingering");
    std::array<char, 4096> block;
    for (std::size_t total = 0; total < kMost;) {
        const auto n = co_await client.read_some(block);
        if (!n) break;
        total += *n;
    }
}

}  // namespace sallyport::session
