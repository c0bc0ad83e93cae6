// Protocols that the gateway does not read, and connections that it must not serve.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/netns/seal_clients.hpp"
#include "tests/support/sealed_gateway.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::vector<std::pair<std::string, std::string>> kNames = {{"db.test", "127.0.0.1"}};

std::string policy_for(std::uint16_t port, const std::string& more = "") {
    return fmt::format("[[allow]]\nhost = \"db.test\"\nport = {}\nprivate = true\n{}", port, more);
}

}  // namespace

TEST_CASE("opaque: a server that speaks first is heard, by name through its virtual address") {
    WireOrigin origin([](WirePeer& peer) {
        peer.send("SSH-2.0-test\r\n");
        CHECK(peer.read_until("\n") == "SSH-2.0-client\r\n");
        peer.send("done");
    });
    const auto gateway = SealedGateway::start(policy_for(origin.port()), kNames);
    if (!gateway) return;
    auto client = gateway->connect(gateway->lookup("db.test"), origin.port());
    CHECK(client.read_until("\n") == "SSH-2.0-test\r\n");
    client.send("SSH-2.0-client\r\n");
    CHECK(client.read_to_end() == "done");
    client.close();
    const auto events = gateway->finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["decision"] == "allow");
    CHECK(events[0]["host"] == "db.test");
    CHECK(events[0]["bytes_in"] == 18);
    CHECK(events[0]["bytes_out"] == 16);
}

TEST_CASE("opaque: a client whose first bytes could begin a request, and who then waits for the server, is passed on") {
    WireOrigin origin([](WirePeer& peer) {
        CHECK(peer.read_exactly(4) == "user");
        peer.send("who?");
    });
    session::TimeLimits limits;
    limits.hello = std::chrono::minutes(1);  // not what ends the wait
    const auto gateway = SealedGateway::start(policy_for(origin.port()), kNames, limits);
    if (!gateway) return;
    auto client = gateway->connect(gateway->lookup("db.test"), origin.port());
    client.send("user");
    CHECK(client.read_exactly(4) == "who?");
    auto elsewhere = gateway->connect("203.0.113.5", 25);
    elsewhere.send("user");
    CHECK(elsewhere.is_reset());
}

TEST_CASE("opaque: a client that speaks first and closes its half still gets its answer") {
    for (const std::string query : {"\x01\x02 query", "GET"}) {
        CAPTURE(query);
        WireOrigin origin([&](WirePeer& peer) {
            CHECK(peer.read_to_end() == query);  // arrives only with the client's FIN
            peer.send("answer");
        });
        const auto gateway = SealedGateway::start(policy_for(origin.port()), kNames);
        if (!gateway) return;
        auto client = gateway->connect(gateway->lookup("db.test"), origin.port());
        client.send(query);
        client.shutdown_write();
        CHECK(client.read_to_end() == "answer");
    }
}

TEST_CASE("opaque: a reset on either side ends the other, and is recorded once") {
    WireOrigin origin([](WirePeer& peer) {
        peer.send("hello\n");
        if (peer.read_until("\n") == "you first\n") peer.reset();
    });
    const auto gateway = SealedGateway::start(policy_for(origin.port()), kNames);
    if (!gateway) return;
    const auto address = gateway->lookup("db.test");
    auto first = gateway->connect(address, origin.port());
    CHECK(first.read_until("\n") == "hello\n");
    first.send("you first\n");
    CHECK(first.is_reset());
    auto second = gateway->connect(address, origin.port());
    CHECK(second.read_until("\n") == "hello\n");
    second.reset();
    auto third = gateway->connect(address, origin.port());  // the origin serves one at a time: the second is over
    CHECK(third.read_until("\n") == "hello\n");
    third.close();
    CHECK(gateway->finish().size() == 3);
}

TEST_CASE("opaque: a reset where nothing allows it, by literal address too; nothing is dialled") {
    WireOrigin origin([](WirePeer&) { CHECK(false); });
    const auto gateway = SealedGateway::start(
        policy_for(origin.port(), "[[deny]]\nhost = \"db.test\"\n") + "[[allow]]\nhost = \"web.test\"\n", kNames);
    if (!gateway) return;
    CHECK(gateway->lookup("db.test") == "");
    CHECK(gateway->lookup("evil.test") == "");
    for (const auto& [address, port] :
         std::vector<std::pair<std::string, std::uint16_t>>{{"192.0.2.1", 22}, {gateway->lookup("web.test"), 443}}) {
        auto client = gateway->connect(address, port);
        client.send("SSH-2.0-client\r\n");
        CHECK(client.is_reset());
    }
    CHECK(origin.connections() == 0);
}

TEST_CASE("opaque: a client that waits for a greeting on a port that nothing allows is reset at once, and recorded") {
    session::TimeLimits limits;
    limits.hello = std::chrono::minutes(1);  // not what ends it
    const auto gateway = SealedGateway::start(policy_for(5432), kNames, limits);
    if (!gateway) return;
    auto client = gateway->connect("203.0.113.5", 25);
    CHECK(client.is_reset());
    const auto events = gateway->finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["decision"] == "deny");
    CHECK(events[0]["original_dst"] == "203.0.113.5:25");
}

TEST_CASE("opaque: a protocol that begins with TLS and then the server's greeting is refused with the remedy") {
    session::TimeLimits limits;
    limits.hello = std::chrono::seconds(1);
    limits.keep_alive = std::chrono::minutes(1);  // not what ends it
    const auto gateway = SealedGateway::start(policy_for(993), kNames, limits);
    if (!gateway) return;
    auto client = gateway->connect_tls(gateway->lookup("db.test"), 993, "db.test");
    CHECK(client.is_reset());
    const auto events = gateway->finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["decision"] == "deny");
    CHECK(events[0]["host"] == "db.test");
    CHECK(events[0]["reason"].get<std::string>().find("needs tls = \"passthrough\"") != std::string::npos);
}

TEST_CASE("a direct connection to the gateway's own port is not served") {
    const auto gateway = SealedGateway::start("[[allow]]\nhost = \"*.test\"\n", kNames);
    if (!gateway) return;
    const auto port = gateway->port();
    for (const std::string address : {"127.0.0.1", "127.8.8.8", "198.18.0.1"}) {
        CAPTURE(address);
        CHECK(gateway->inside().run([=] { return tcp_connect(address, port); }).error == ECONNREFUSED);
    }
    auto elsewhere = gateway->connect("192.0.2.7", port);  // the same port of another address is a destination
    elsewhere.send("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    CHECK(elsewhere.read_message().starts_with("HTTP/1.1 403 "));
}

TEST_CASE("policy change: streams that stay allowed go on, those that are denied now are reset on both sides") {
    const auto serve = [](WirePeer& peer) {
        peer.send("SSH-2.0-test\r\n");
        while (!peer.read_until("\n").empty()) peer.send("more\n");
    };
    WireOrigin first(serve), second(serve);
    const auto gateway = SealedGateway::start(policy_for(first.port()) + policy_for(second.port()), kNames);
    if (!gateway) return;
    const auto address = gateway->lookup("db.test");
    auto kept = gateway->connect(address, first.port());
    auto ended = gateway->connect(address, second.port());
    CHECK(kept.read_until("\n") == "SSH-2.0-test\r\n");
    CHECK(ended.read_until("\n") == "SSH-2.0-test\r\n");
    CHECK(gateway->replace_policy(policy_for(first.port())) == 1);
    CHECK(ended.is_reset());
    kept.send("hello\n");
    CHECK(kept.read_until("\n") == "more\n");
    CHECK(gateway->lookup("db.test") == address);
    CHECK(gateway->replace_policy("") == 1);
    CHECK(kept.is_reset());
    CHECK(gateway->lookup("db.test") == "");
    auto later = gateway->connect(address, first.port());
    later.send("hello\n");
    CHECK(later.is_reset());
    const auto events = gateway->finish();
    REQUIRE(events.size() >= 3);
    for (std::size_t i : {0u, 1u}) {
        CHECK(events[i]["decision"] == "allow");
        const auto reason = events[i]["reason"].get<std::string>();
        CHECK(reason.find("passed through, ended: the policy has changed: ") == 0);
    }
}
