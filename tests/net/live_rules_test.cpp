// The policy changes under traffic.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <future>
#include <string>

#include "tests/support/gateway_fixture.hpp"
#include "tests/support/wire_peer.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kName = "127.0.0.1";

std::string allow(std::uint16_t port, const std::string& more = "") {
    return fmt::format("[[allow]]\nhost = \"127.0.0.1\"\nport = {}\nprivate = true\n{}", port, more);
}

std::string get(const std::string& path, std::uint16_t port, const std::string& fields = "") {
    return fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}\r\n", path, port, fields);
}

constexpr const char* kEventStream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";

/// An origin that begins a stream of events, and one more when it is told to. It hears whether the gateway hung up.
struct EventOrigin {
    std::promise<void> go_on;
    std::promise<bool> ended;
    WireOrigin origin{[this](WirePeer& peer) {
        peer.read_message();
        peer.send(kEventStream);
        go_on.get_future().wait();
        peer.send("data: 2\n\n");
        ended.set_value(peer.closed());
    }};
};

}  // namespace

TEST_CASE("policy change: a long download that stays allowed arrives to the last byte") {
    constexpr std::size_t kTotal = 32 * 1024 * 1024;
    const auto byte_at = [](std::size_t i) { return static_cast<char>('a' + i % 23); };
    WireOrigin origin([&](WirePeer& peer) {
        peer.read_message();
        peer.send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", kTotal));
        std::string block(65536, ' ');
        for (std::size_t sent = 0; sent < kTotal; sent += block.size()) {
            for (std::size_t i = 0; i < block.size(); ++i) block[i] = byte_at(sent + i);
            peer.send(block);
        }
    });
    GatewayFixture gateway(allow(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/big", origin.port()));
    client.read_until("\r\n\r\n");
    bool same = true;
    std::size_t got = 0;
    while (got < kTotal) {
        const auto block = client.read_exactly(1 << 20);
        REQUIRE(block.size() == 1 << 20);
        for (std::size_t i = 0; i < block.size(); ++i) same = same && block[i] == byte_at(got + i);
        got += block.size();
        if (got == 4 << 20)
            CHECK(gateway.replace_policy(allow(origin.port(), "method = \"GET\"\npath = \"/big\"\n")) == 0);
    }
    CHECK(same);
    const auto events = gateway.finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["reason"] == "allowed");
}

TEST_CASE("policy change: a stream of events that is denied now is cut off on both sides, and the log says why") {
    EventOrigin events;
    GatewayFixture gateway(allow(events.origin.port()));
    auto client = gateway.http_client(kName, events.origin.port());
    client.send(get("/events", events.origin.port()));
    CHECK(client.read_until("data: 1\n\n").find("200 OK") != std::string::npos);
    CHECK(gateway.replace_policy(allow(events.origin.port(), "path = \"/other\"\n")) == 1);
    CHECK(client.is_reset());  // not a response that seems whole
    events.go_on.set_value();
    CHECK(events.ended.get_future().get());
    const auto log = gateway.finish();
    REQUIRE(log.size() == 1);
    CHECK(log[0]["decision"] == "allow");  // it was, and what went through is counted
    CHECK(log[0]["status"] == 200);
    const auto reason = log[0]["reason"].get<std::string>();
    CHECK(reason.find("the policy has changed: no rule allows GET /events") != std::string::npos);
}

TEST_CASE("policy change: a stream of events that stays allowed goes on") {
    EventOrigin events;
    GatewayFixture gateway(allow(events.origin.port()));
    auto client = gateway.http_client(kName, events.origin.port());
    client.send(get("/events", events.origin.port()));
    client.read_until("data: 1\n\n");
    CHECK(gateway.replace_policy("[[deny]]\nhost = \"127.0.0.1\"\npath = \"/x\"\n" + allow(events.origin.port())) == 0);
    events.go_on.set_value();
    CHECK(client.read_until("data: 2\n\n").ends_with("data: 2\n\n"));
    client.reset();
    CHECK(events.ended.get_future().get());
}

TEST_CASE("policy change: a request that waits for its answer is told in words") {
    std::promise<void> asked, answer;
    WireOrigin origin([&](WirePeer& peer) {
        peer.read_message();
        asked.set_value();
        answer.get_future().wait();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    });
    GatewayFixture gateway(allow(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/slow", origin.port()));
    asked.get_future().wait();
    CHECK(gateway.replace_policy("") == 1);
    const auto refused = client.read_message();
    CHECK(refused.starts_with("HTTP/1.1 403 "));
    CHECK(refused.find("the policy has changed: ") != std::string::npos);
    answer.set_value();
    CHECK(client.read_to_end().find("secret") == std::string::npos);
    const auto log = gateway.finish();
    REQUIRE(log.size() == 1);
    CHECK(log[0]["status"] == 403);
    CHECK(log[0]["decision"] == "allow");  // it reached the origin
}

TEST_CASE("policy change: a kept connection stays, and its next request is judged by the new policy") {
    WireOrigin origin([](WirePeer& peer) {
        while (!peer.read_message().empty()) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    GatewayFixture gateway(allow(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/a", origin.port()));
    CHECK(client.read_message().ends_with("ok"));
    CHECK(gateway.replace_policy(allow(origin.port(), "path = \"/b\"\n")) == 0);
    client.send(get("/a", origin.port()));
    CHECK(client.read_message().starts_with("HTTP/1.1 403 "));
    client.send(get("/b", origin.port()));
    CHECK(client.read_message().ends_with("ok"));
    CHECK(origin.connections() == 1);  // the pooled connection to the origin served what is still allowed
}

TEST_CASE("policy change: a pooled connection to a private address carries nothing once private = true is gone") {
    WireOrigin origin([](WirePeer& peer) {
        while (!peer.read_message().empty()) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    GatewayFixture gateway(allow(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/a", origin.port()));
    CHECK(client.read_message().ends_with("ok"));
    gateway.replace_policy(fmt::format("[[allow]]\nhost = \"127.0.0.1\"\nport = {}\n", origin.port()));
    client.send(get("/a", origin.port()));
    CHECK(client.read_message().starts_with("HTTP/1.1 403 "));
}

TEST_CASE("policy change: an upload that is denied now stops within what was on its way") {
    std::promise<void> began;
    std::promise<std::string> got;
    WireOrigin origin([&](WirePeer& peer) {
        peer.read_until("first");
        began.set_value();
        got.set_value(peer.read_to_end());
    });
    GatewayFixture gateway(allow(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(
        fmt::format("PUT /f HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 1000000\r\n\r\nfirst", origin.port()));
    began.get_future().wait();
    CHECK(gateway.replace_policy("[[deny]]\nhost = \"127.0.0.1\"\n") == 1);
    client.send(" second");
    CHECK(got.get_future().get() == "");
    CHECK(client.read_message().starts_with("HTTP/1.1 403 "));
}
