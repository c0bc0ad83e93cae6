// What an origin sends of a secret over a WebSocket: none of it arrives, and who guesses is found out as over HTTP.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <semaphore>
#include <string>

#include "tests/support/gateway_fixture.hpp"
#include "tests/support/wire_peer.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr std::chrono::seconds kLong{10};
const std::string kName = "127.0.0.1";
const std::string kValue = "real-websocket-value";
const std::string kUpgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
const std::string kSwitching = "HTTP/1.1 101 Switching Protocols\r\n" + kUpgrade +
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";  // RFC 6455, section 1.3
constexpr const char* kGivenAway = "the origin sent the value of secret k, or half of it, over the WebSocket";

std::string handshake(std::uint16_t port, const std::string& fields = "") {
    return fmt::format(
        "GET /chat HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n{}\r\n",
        port, kUpgrade, fields);
}

/// Makes the secret's variable anew, which reading it wipes.
std::string policy_for(std::uint16_t port) {
    ::setenv("SALLYPORT_TEST_WEBSOCKET_SECRET", kValue.c_str(), 1);
    return fmt::format(
        "[[allow]]\nhost = \"127.0.0.1\"\nport = {}\nprivate = true\n"
        "[[secret]]\nname = \"k\"\nhost = \"127.0.0.1\"\nplaceholder = \"placeholder\"\n"
        "value = {{ env = \"SALLYPORT_TEST_WEBSOCKET_SECRET\" }}\n",
        port);
}

}  // namespace

TEST_CASE("websocket: a secret in what the origin sends ends the tunnel before it, with an alarm") {
    std::binary_semaphore over(0);
    WireOrigin origin([&](WirePeer& peer) {
        const auto head = peer.read_until("\r\n\r\n");
        CHECK(head.find("Sec-WebSocket-Extensions") == std::string::npos);
        peer.send(kSwitching + "hello");
        CHECK(peer.read_exactly(2) == "go");
        peer.send(kValue.substr(0, 15));
        peer.send(kValue.substr(15));
        over.try_acquire_for(kLong);
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(handshake(origin.port(), "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    client.read_until("\r\n\r\n");
    CHECK(client.read_exactly(5) == "hello");
    client.send("go");
    CHECK(client.read_to_end().size() <= 3);
    over.release();
    const auto events = gateway.finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["alarm"] == kGivenAway);
    CHECK(events[0].dump().find("real-websocket") == std::string::npos);
}

TEST_CASE("websocket: who guesses a value in one tunnel after the other is found out, as over HTTP") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(kSwitching);
        peer.send(peer.read_until("\n"));  // the origin sends back what it gets
        peer.closed();
    });
    GatewayFixture gateway(policy_for(origin.port()));
    const auto half = kValue.size() / 2;
    for (auto known = half; known < half + 5; ++known) {
        CAPTURE(known);
        auto client = gateway.http_client(kName, origin.port());
        client.send(handshake(origin.port()));
        CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
        client.send(kValue.substr(0, known) + "!\n");
        const auto got = client.read_to_end();
        CHECK(got.size() <= 2);
        CHECK(kValue.starts_with(got));
    }
    const std::string alarm =
        "somebody is guessing the value of secret k: its responses are withheld until the policy is reloaded";
    auto client = gateway.http_client(kName, origin.port());
    for (const auto& asks :
         {handshake(origin.port()), fmt::format("GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", origin.port())}) {
        client.send(asks);
        const auto refused = client.read_message();
        CHECK(refused.starts_with("HTTP/1.1 403 "));
        CHECK(refused.find(alarm) != std::string::npos);
    }
    CHECK(origin.connections() == 5);
    gateway.replace_policy(policy_for(origin.port()));
    client.send(handshake(origin.port()));
    CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
    client.send("hello\n");
    CHECK(client.read_exactly(6) == "hello\n");
    client.close();

    const auto events = gateway.finish();
    REQUIRE(events.size() == 8);
    for (std::size_t i = 0; i < 4; ++i) CHECK(events[i]["alarm"] == kGivenAway);
    for (std::size_t i = 4; i < 7; ++i) CHECK(events[i]["alarm"] == alarm);
    for (std::size_t i = 0; i < 8; ++i) CHECK(events[i]["decision"] == (i == 5 || i == 6 ? "deny" : "allow"));
    CHECK_FALSE(events[7].contains("alarm"));
    for (const auto& event : events) CHECK(event.dump().find("real-web") == std::string::npos);
}
