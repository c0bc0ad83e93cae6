#include "gateway/net/relay.hpp"

#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>
#include <set>
#include <thread>

#include "tests/support/run_task.hpp"
#include "tests/support/test_ca.hpp"
#include "tests/support/wire_peer.hpp"

using namespace sallyport;
using namespace sallyport::net;
using namespace sallyport::test;

namespace {

constexpr std::size_t kMegabyte = 1024 * 1024;

/// A client and an origin with a relay between them, which runs while the test waits in meanwhile() or end().
struct Relayed {
    Relayed() : Relayed(connected_pair(), connected_pair()) {}
    ~Relayed() { watchdog.stop(); }

    void begin() { ended = testing::start(io, relay(client_side, origin_side, count)); }
    /// Runs the relay while `task` runs on a thread of its own.
    void meanwhile(const std::function<void()>& task) {
        std::atomic<bool> done = false;
        std::thread thread([&] {
            task();
            done = true;
        });
        while (!done) io.run_one_for(std::chrono::milliseconds(20));
        thread.join();
    }
    Result<void> end() { return testing::finish(io, ended); }

    boost::asio::io_context io{1};
    Watchdog watchdog{io.get_executor()};
    Lifeline lifeline{watchdog};
    WirePeer client, origin;
    Stream client_side, origin_side;
    RelayCount count;
    std::shared_ptr<std::optional<Result<void>>> ended;

private:
    Relayed(std::pair<UniqueFd, UniqueFd> one, std::pair<UniqueFd, UniqueFd> other)
        : client(std::move(one.first)),
          origin(std::move(other.first)),
          client_side(Socket(io, boost::asio::ip::tcp::v4(), one.second.release()), lifeline),
          origin_side(Socket(io, boost::asio::ip::tcp::v4(), other.second.release()), lifeline) {
        ::signal(SIGPIPE, SIG_IGN);  // as the program has it
        lifeline.expect_within(std::chrono::minutes(1), "a byte in either direction");
    }
};

std::string random_bytes(std::size_t size, unsigned seed) {
    std::string bytes(size, '\0');
    std::mt19937_64 random(seed);
    for (std::size_t i = 0; i < size; i += 8) {
        const auto eight = random();
        std::memcpy(&bytes[i], &eight, 8);
    }
    return bytes;
}

std::string sha256(std::string_view bytes) {
    unsigned char digest[32];
    EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_sha256(), nullptr);
    return std::string(reinterpret_cast<char*>(digest), sizeof digest);
}

std::size_t open_files() {
    const std::filesystem::directory_iterator files("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

/// What `peer` could send before the other side took nothing any more.
std::size_t sent_until_blocked(WirePeer& peer) {
    const std::string block(64 * 1024, 'x');
    std::size_t sent = 0;
    while (peer.writable_within(300)) {
        const auto n = ::send(peer.fd(), block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) sent += static_cast<std::size_t>(n);
    }
    return sent;
}

}  // namespace

TEST_CASE("relay: what was read ahead comes first, each half is closed on its own, and every byte is counted") {
    Relayed relayed;
    relayed.client_side.replay("hello, ");
    relayed.begin();
    relayed.meanwhile([&] {
        relayed.client.send("origin");
        relayed.client.shutdown_write();
        CHECK(relayed.origin.read_to_end() == "hello, origin");
        CHECK(relayed.client.silent_for(100));  // its own half is open still
        relayed.origin.send("goodbye");
        CHECK(relayed.client.read_exactly(7) == "goodbye");
        relayed.origin.send(".");
        relayed.origin.shutdown_write();
        CHECK(relayed.client.read_to_end() == ".");
    });
    CHECK(relayed.end().has_value());
    CHECK(relayed.count.from_client == 13);
    CHECK(relayed.count.from_origin == 8);
}

TEST_CASE("relay: 100 MB each way at once arrive intact, with or without descriptors for a pipe") {
    const auto up = random_bytes(100 * kMegabyte, 1), down = random_bytes(100 * kMegabyte, 2);
    for (const bool pipes : {true, false}) {
        CAPTURE(pipes);
        Relayed relayed;
        rlimit files{};
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
        const rlimit none{3, files.rlim_max};  // which are in use; poll(2) wants no more descriptors than that
        if (!pipes) REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
        relayed.begin();
        std::string at_origin, at_client;
        relayed.meanwhile([&] {
            const auto send = [](WirePeer& peer, const std::string& bytes) {
                peer.send(bytes);
                ::shutdown(peer.fd(), SHUT_WR);
            };
            std::thread client([&] { send(relayed.client, up); });
            std::thread origin([&] { send(relayed.origin, down); });
            std::thread reader([&] { at_client = sha256(relayed.client.read_to_end()); });
            at_origin = sha256(relayed.origin.read_to_end());
            for (auto* thread : {&client, &origin, &reader}) thread->join();
        });
        CHECK(relayed.end().has_value());
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &files) == 0);
        const bool intact = at_origin == sha256(up) && at_client == sha256(down);
        CHECK(intact);
        CHECK(relayed.count.from_client == up.size());
        CHECK(relayed.count.from_origin == down.size());
    }
}

TEST_CASE("relay: nothing is held for those that are idle, and one pipe for a reader that does not read") {
    Relayed relayed;
    // Else the kernel lets one grow to what this machine allows, which on a slow relay may be all of the bound below.
    const int receives = kMegabyte;
    for (const int fd : {relayed.client_side.socket().native_handle(), relayed.origin.fd()})
        REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receives, sizeof receives) == 0);
    const auto before = open_files();
    relayed.begin();
    std::size_t idle = 0, blocked = 0, taken = 0;
    relayed.meanwhile([&] {
        relayed.client.send("x");
        CHECK(relayed.origin.read_exactly(1) == "x");
        relayed.origin.send("y");
        CHECK(relayed.client.read_exactly(1) == "y");
        const std::string large(kMegabyte, 'z');
        std::thread sending([&] { relayed.client.send(large); });
        const bool intact = relayed.origin.read_exactly(large.size()) == large;
        CHECK(intact);
        sending.join();
        idle = open_files();  // the relay may have the last byte behind it, but its pipe still
        for (int i = 0; i < 100 && idle != before; ++i, idle = open_files()) ::poll(nullptr, 0, 10);
        taken = sent_until_blocked(relayed.client);
        blocked = open_files();
    });
    CHECK(idle == before);
    CHECK(blocked <= before + 2);  // what waits is in a pipe, or in the buffer that comes first
    // In between is what two connections of the kernel and a pipe hold.
    CHECK(taken < 32 * kMegabyte);
    CHECK(taken - relayed.count.from_client < 16 * kMegabyte);
    const auto resting = relayed.count.from_client;
    relayed.meanwhile([&] {
        CHECK(relayed.origin.read_exactly(taken).size() == taken);
        relayed.client.close();
        relayed.origin.close();
    });
    CHECK(relayed.end().has_value());
    CHECK(resting < taken + 1 + kMegabyte);
    CHECK(relayed.count.from_client == taken + 1 + kMegabyte);
}

TEST_CASE("relay: a reset reaches the other side, also from a side that nobody reads because the other is full") {
    for (const bool full : {false, true}) {
        for (const bool of_client : {true, false}) {
            CAPTURE(full);
            CAPTURE(of_client);
            Relayed relayed;
            relayed.begin();
            auto& sender = of_client ? relayed.client : relayed.origin;
            relayed.meanwhile([&] {
                if (full) sent_until_blocked(sender);
                sender.reset();
            });
            const auto ended = relayed.end();
            REQUIRE_FALSE(ended.has_value());
            CHECK(ended.error().detail == "connection reset by peer");
            CHECK((of_client ? relayed.origin : relayed.client).is_reset());
        }
    }
}

TEST_CASE("relay: where one side is under TLS of ours, its content goes to the other and back") {
    Relayed relayed;
    const testing::TestCa ca;
    const auto context = testing::make_server(ca.good("h.test"));
    tls::SslPtr ours(SSL_new(context.get()));
    SSL_set_accept_state(ours.get());
    const tls::SslCtxPtr client(SSL_CTX_new(TLS_client_method()));
    tls::SslPtr theirs(SSL_new(client.get()));
    SSL_set_connect_state(theirs.get());
    std::thread thread([&] { relayed.client.start_tls(std::move(theirs)); });
    const auto done = testing::run(relayed.io, relayed.client_side.handshake(std::move(ours)));
    thread.join();
    REQUIRE(done.has_value());
    relayed.begin();
    const auto bytes = random_bytes(kMegabyte, 3);
    relayed.meanwhile([&] {
        std::thread sending([&] { relayed.client.send(bytes); });
        const bool intact = relayed.origin.read_exactly(bytes.size()) == bytes;
        CHECK(intact);
        sending.join();
        relayed.origin.send("fine");
        CHECK(relayed.client.read_exactly(4) == "fine");
        relayed.client.shutdown_write();
        CHECK(relayed.origin.closed());
        relayed.origin.close();
    });
    CHECK(relayed.end().has_value());
    CHECK(relayed.count.from_client == bytes.size());
    CHECK(relayed.count.from_origin == 4);
}

TEST_CASE("relay: one that always has something to move lets others run, and ends with its lifeline") {
    Relayed relayed;
    const auto waiting = sent_until_blocked(relayed.client);
    relayed.begin();
    std::set<std::uint64_t> seen;
    std::function<void()> other = [&] {
        seen.insert(relayed.count.from_client);
        boost::asio::post(relayed.io, other);
    };
    boost::asio::post(relayed.io, other);
    // Nobody reads: without a pause it would move all that both connections hold, or nothing.
    const auto limit = Clock::now() + std::chrono::seconds(10);
    while (seen.size() < 3 && Clock::now() < limit) relayed.io.run_one_for(std::chrono::milliseconds(20));
    CAPTURE(waiting);
    CHECK(seen.size() >= 3);
    relayed.lifeline.end({ErrorKind::cancelled, "over"});
    CHECK(relayed.end().error().detail == "over");
}
