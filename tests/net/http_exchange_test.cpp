// One request and its response when a side misbehaves: stops reading, answers early, goes away, floods.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <chrono>
#include <semaphore>
#include <string>
#include <thread>

#include "tests/support/gateway_fixture.hpp"
#include "tests/support/wire_peer.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kName = "127.0.0.1";
constexpr std::chrono::seconds kLong{10};

std::string policy_for(std::uint16_t port) {
    return fmt::format("[[allow]]\nhost = \"127.0.0.1\"\nport = {}\nprivate = true\n", port);
}

std::string head(const std::string& method, std::uint16_t port, const std::string& fields = "") {
    return fmt::format("{} /x HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}\r\n", method, port, fields);
}

std::string answer(const std::string& status, const std::string& fields = "") {
    return fmt::format("HTTP/1.1 {}\r\n{}Content-Length: 2\r\n\r\nno", status, fields);
}

/// Sends so many bytes of a body while the test reads; given up at the end of the test.
class Sender {
public:
    Sender(WirePeer& peer, std::size_t bytes)
        : peer_(peer), thread_([&peer, bytes] { peer.send(std::string(bytes, 'x')); }) {}
    ~Sender() {
        ::shutdown(peer_.fd(), SHUT_RDWR);
        thread_.join();
    }
    Sender(const Sender&) = delete;
    Sender& operator=(const Sender&) = delete;

private:
    WirePeer& peer_;
    std::thread thread_;
};

}  // namespace

TEST_CASE("an origin that answers early and reads no more: the answer arrives and the exchange ends") {
    std::binary_semaphore stuck(0);
    std::binary_semaphore over(0);
    WireOrigin origin([&](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        stuck.try_acquire_for(kLong);
        peer.send(answer("413 Too Large"));
        over.try_acquire_for(6 * kLong);  // the connection stays open, unread
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(head("POST", origin.port(), "Content-Length: 50000000\r\n"));
    const Sender sender(client, 50'000'000);
    while (client.writable_within(300)) {
    }
    stuck.release();                                           // what waits now is the upload, for the origin to read
    CHECK(client.read_to_end().starts_with("HTTP/1.1 413 "));  // to the end: the gateway closes
    over.release();
}

TEST_CASE("an origin that answers and resets in the middle of an upload is still heard") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(answer("401 Unauthorized", "Connection: close\r\n"));  // closes with unread bytes: a reset
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(head("POST", origin.port(), "Content-Length: 5000000\r\n"));
    const Sender sender(client, 5'000'000);
    CHECK(client.read_message().starts_with("HTTP/1.1 401 "));
}

TEST_CASE("a body that turns ambiguous is a 400, and its origin never sees an end of it") {
    std::string seen;
    std::binary_semaphore over(0);
    WireOrigin origin([&](WirePeer& peer) {
        seen = peer.read_to_end();
        over.release();
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(head("POST", origin.port(), "Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n");
    client.send("zz\r\nevil\r\n0\r\n\r\n");
    CHECK(client.read_to_end().starts_with("HTTP/1.1 400 "));
    REQUIRE(over.try_acquire_for(kLong));
    CHECK(seen.find("evil") == std::string::npos);
    CHECK_FALSE(seen.ends_with("0\r\n\r\n"));
}

TEST_CASE("a client that goes away while the origin is silent takes its origin connection along") {
    std::binary_semaphore asked(0);
    std::binary_semaphore gone(0);
    WireOrigin origin([&](WirePeer& peer) {
        peer.read_message();
        asked.release();
        if (peer.closed()) gone.release();
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(head("GET", origin.port()));
    REQUIRE(asked.try_acquire_for(kLong));
    client.reset();
    CHECK(gone.try_acquire_for(kLong));
}

TEST_CASE("a client that closes its half still gets its answer") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_message();
        CHECK(peer.silent_for(600));  // longer than the watchdog's tick
        peer.send(answer("200 OK"));
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(head("GET", origin.port()));
    client.shutdown_write();
    CHECK(client.read_to_end().ends_with("no"));
}

TEST_CASE("an upload of one byte at a time stays alive, and one that stops is cut at the time limit") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        CHECK(peer.read_exactly(4) == "abcd");
        peer.read_to_end();
    });
    session::TimeLimits limits;
    limits.exchange = std::chrono::seconds(1);
    GatewayFixture gateway(policy_for(origin.port()), limits);
    auto client = gateway.http_client(kName, origin.port());
    client.send(head("POST", origin.port(), "Content-Length: 5\r\n"));
    for (const char* byte : {"a", "b", "c", "d"}) {
        CHECK(client.silent_for(500));
        client.send(byte);
    }
    CHECK(client.read_to_end().starts_with("HTTP/1.1 408 "));
}
