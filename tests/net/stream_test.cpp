#include "gateway/net/stream.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <thread>

#include "tests/support/run_task.hpp"
#include "tests/support/test_ca.hpp"
#include "tests/support/wire_peer.hpp"

using namespace sallyport;
using namespace sallyport::net;
using namespace sallyport::test;

namespace {

/// A stream and the peer at its other end, plain or with the stream as TLS server.
struct Pair {
    Pair() : Pair(connected_pair()) {}
    ~Pair() { watchdog.stop(); }

    void start_tls() {
        const testing::TestCa ca;
        context = testing::make_server(ca.good("h.test"));
        tls::SslPtr ours(SSL_new(context.get()));
        SSL_set_accept_state(ours.get());
        const tls::SslCtxPtr client(SSL_CTX_new(TLS_client_method()));
        tls::SslPtr theirs(SSL_new(client.get()));
        SSL_set_connect_state(theirs.get());
        std::thread thread([&] { peer.start_tls(std::move(theirs)); });
        const auto done = testing::run(io, stream.handshake(std::move(ours)));
        thread.join();
        REQUIRE(done.has_value());
    }

    /// Until so many bytes have come all the way, or with 0 until something (an end, too) can be read.
    void await_queued(int bytes) {
        pollfd fd{stream.socket().native_handle(), POLLIN, 0};
        const auto limit = Clock::now() + std::chrono::seconds(10);
        int queued = -1;
        do {
            REQUIRE(::poll(&fd, 1, 10'000) == 1);
            REQUIRE(::ioctl(fd.fd, FIONREAD, &queued) == 0);
        } while (queued < bytes && Clock::now() < limit);
        REQUIRE(queued >= bytes);
    }

    Result<std::size_t> read() { return testing::run(io, stream.read_some(block)); }

    boost::asio::io_context io{1};
    Watchdog watchdog{io.get_executor()};
    Lifeline lifeline{watchdog};
    tls::SslCtxPtr context;
    WirePeer peer;
    Stream stream;
    std::array<char, 4096> block{};

private:
    explicit Pair(std::pair<UniqueFd, UniqueFd> ends)
        : peer(std::move(ends.first)),
          stream(Socket(io, boost::asio::ip::tcp::v4(), ends.second.release()), lifeline) {}
};

boost::asio::awaitable<std::size_t> read_bytewise(Stream& stream, std::size_t bytes) {
    char byte = 0;
    const std::span<char> one(&byte, 1);
    std::size_t got = 0;
    while (got < bytes) {
        const auto n = co_await stream.read_some(one);
        if (!n) break;
        ++got;
    }
    co_return got;
}

}  // namespace

TEST_CASE("stream: no byte waits for others, and a peer that is gone without a word is found out in minutes") {
    Pair pair;
    const auto option = [fd = pair.stream.socket().native_handle()](int level, int name) {
        int value = 0;
        socklen_t size = sizeof value;
        REQUIRE(::getsockopt(fd, level, name, &value, &size) == 0);
        return value;
    };
    CHECK(option(IPPROTO_TCP, TCP_NODELAY) != 0);
    CHECK(option(SOL_SOCKET, SO_KEEPALIVE) != 0);
    CHECK(option(IPPROTO_TCP, TCP_KEEPIDLE) + option(IPPROTO_TCP, TCP_KEEPCNT) * option(IPPROTO_TCP, TCP_KEEPINTVL) <=
          180);
}

TEST_CASE("stream: one that always has something to read lets others run, and notices its lifeline's end") {
    Pair pair;
    pair.peer.send(std::string(20'000, 'x'));
    pair.await_queued(20'000);
    const auto reading = testing::start(pair.io, read_bytewise(pair.stream, 10'000));
    bool first = false;
    boost::asio::post(pair.io, [&] { first = !reading->has_value(); });
    CHECK(testing::finish(pair.io, reading) == 10'000);
    CHECK(first);
    const auto ended = testing::start(pair.io, read_bytewise(pair.stream, 10'000));
    boost::asio::post(pair.io, [&] { pair.lifeline.end({ErrorKind::cancelled, "over"}); });
    CHECK(testing::finish(pair.io, ended) < 10'000);
}

TEST_CASE("stream: a flood of key updates lets others run, and what comes behind it is read") {
    Pair pair;
    pair.start_tls();
    for (int i = 0; i < 2000; ++i) {
        REQUIRE(SSL_key_update(pair.peer.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
        REQUIRE(SSL_do_handshake(pair.peer.ssl()) == 1);
    }
    pair.peer.send("x");
    pair.await_queued(2000 * 27);  // a record with one key update each
    const auto reading = testing::start(pair.io, read_bytewise(pair.stream, 1));
    bool first = false;
    boost::asio::post(pair.io, [&] { first = !reading->has_value(); });
    CHECK(testing::finish(pair.io, reading) == 1);
    CHECK(first);
}

TEST_CASE("stream: abort ends what waits and whatever would, until resume") {
    Pair pair;
    const auto reading = testing::start(pair.io, pair.stream.read_some(pair.block));
    boost::asio::post(pair.io, [&] { pair.stream.abort(); });
    CHECK(testing::finish(pair.io, reading).error().kind == ErrorKind::cancelled);
    CHECK(pair.read().error().kind == ErrorKind::cancelled);
    pair.stream.resume();
    pair.peer.send("again");
    CHECK(pair.read().value() == 5);
}

TEST_CASE("stream: under TLS only close_notify is an end in order") {
    for (const bool in_order : {true, false}) {
        Pair pair;
        pair.start_tls();
        pair.peer.send("x");
        CHECK(pair.read().value() == 1);
        in_order ? pair.peer.shutdown_write() : pair.peer.close();
        const auto end = pair.read();
        CHECK(end.error().kind == (in_order ? ErrorKind::end_of_stream : ErrorKind::io));
    }
}

TEST_CASE("stream: idle and open is neither closed nor with bytes to read, whatever TLS has sent for itself") {
    for (const bool tls : {false, true}) {
        CAPTURE(tls);
        Pair pair;
        if (tls) pair.start_tls();
        CHECK(pair.stream.is_idle_and_open());
        if (tls) {
            REQUIRE(SSL_key_update(pair.peer.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
            REQUIRE(SSL_do_handshake(pair.peer.ssl()) == 1);
            pair.await_queued(1);
            CHECK(pair.stream.is_idle_and_open());
        }
        pair.peer.send("x");
        pair.await_queued(1);
        CHECK_FALSE(pair.stream.is_idle_and_open());
        CHECK(pair.read().value() == 1);
        CHECK(pair.stream.is_idle_and_open());
        pair.peer.close();
        pair.await_queued(0);
        CHECK_FALSE(pair.stream.is_idle_and_open());
    }
}

TEST_CASE("stream: bytes given back come again before those of an earlier return that were not read yet") {
    Pair pair;
    pair.stream.replay("second, third");
    pair.peer.send(" and live");
    std::array<char, 8> some{};
    REQUIRE(testing::run(pair.io, pair.stream.read_some(some)).value() == 8);
    pair.stream.replay("first, second, ");
    std::string all;
    while (all.size() < 29) {
        const auto n = pair.read();
        REQUIRE(n.has_value());
        all.append(pair.block.data(), *n);
    }
    CHECK(all == "first, second, third and live");
}
