// Secrets on their way through the real gateway: the origin sees the value, the sandbox never does.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <semaphore>

#include "tests/support/sealed_gateway.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::vector<std::pair<std::string, std::string>> kNames = {{"api.test", "127.0.0.1"},
                                                                 {"other.test", "127.0.0.1"}};

std::string policy_for(std::uint16_t port, const std::string& secret) {
    ::setenv("SALLYPORT_TEST_REAL", "real-value-1", 1);
    return fmt::format(
        "[[allow]]\nhost = [\"api.test\", \"other.test\"]\nport = {}\nprivate = true\n"
        "[[secret]]\nname = \"k\"\nhost = \"api.test\"\nvalue = {{ env = \"SALLYPORT_TEST_REAL\" }}\n{}\n",
        port, secret);
}

/// Serves api.test; answers with the number of bytes of the head that it got, and keeps the head.
struct Origin {
    std::string head;
    std::atomic<bool> keeps_connections = false;  // they are served one after another
    std::counting_semaphore<> served{0};
    WireOrigin wire{[this](WirePeer& peer) {
                        do {
                            head = peer.read_message();
                            if (head.empty()) return;
                            served.release();
                            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                        } while (keeps_connections);
                    },
                    testing::make_server(SealedGateway::origin_ca().good("api.test"))};

    /// What the origin got for a request with these fields; "" when nothing came. `answer`: what the client got.
    std::string sees(SealedGateway& gateway, const std::string& fields, std::string& answer,
                     const std::string& host = "api.test", const std::string& path = "/") {
        auto client = gateway.connect_tls("192.0.2.7", wire.port(), host);
        client.send(fmt::format("GET {} HTTP/1.1\r\nHost: {}:{}\r\n{}\r\n", path, host, wire.port(), fields));
        answer = client.read_message();
        return served.try_acquire() ? head : std::string();
    }
};

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("secret: a header is set, or replaced however often the client sent it, and Connection cannot remove it") {
    Origin origin;
    const auto gateway =
        SealedGateway::start(policy_for(origin.wire.port(), "header = \"x-api-key\"\nformat = \"Key {}\""), kNames);
    if (!gateway) return;
    std::string answer;
    for (const std::string fields :
         {"", "X-Api-Key: mine\r\nx-api-key: mine too\r\n", "Connection: close, X-Api-Key\r\n"}) {
        CAPTURE(fields);
        const auto head = origin.sees(*gateway, fields, answer);
        CHECK(holds(head, "Key real-value-1\r\n"));
        CHECK_FALSE(holds(head, "mine"));
        CHECK(answer.ends_with("ok"));
    }
    CHECK_FALSE(holds(origin.sees(*gateway, "", answer, "other.test"), "real-value-1"));
    const auto events = gateway->finish();
    REQUIRE(events.size() == 4);
    for (int i = 0; i < 3; ++i) CHECK(events[i]["secrets"] == nlohmann::json::array({"k"}));
    CHECK(events[3].dump().find("\"k\"") == std::string::npos);
    for (const auto& event : events) CHECK_FALSE(holds(event.dump(), "real-value"));
}

TEST_CASE("secret: HTTP Basic, and a placeholder wherever it stands in a field, Base64 included") {
    {
        Origin origin;
        const auto gateway = SealedGateway::start(policy_for(origin.wire.port(), "basic = \"x-access-token\""), kNames);
        if (!gateway) return;
        std::string answer;  // base64 of "x-access-token:real-value-1"
        CHECK(holds(origin.sees(*gateway, "Authorization: Basic bWluZQ==\r\n", answer),
                    "Authorization: Basic eC1hY2Nlc3MtdG9rZW46cmVhbC12YWx1ZS0x\r\n"));
    }
    Origin origin;
    const auto gateway = SealedGateway::start(policy_for(origin.wire.port(), "placeholder = \"dummy-value\""), kNames);
    if (!gateway) return;
    std::string answer;
    const auto head =  // base64 of "u:dummy-value"; of "u:real-value-1"
        origin.sees(*gateway, "Authorization: Basic dTpkdW1teS12YWx1ZQ==\r\nX-Any: a dummy-value b\r\n", answer);
    CHECK(holds(head, "Basic dTpyZWFsLXZhbHVlLTE=\r\n"));
    CHECK(holds(head, "X-Any: a real-value-1 b\r\n"));
    CHECK_FALSE(holds(answer, "real-value"));
}

TEST_CASE("secret: a placeholder on its way anywhere else is a 403 and an alarm; nothing is sent") {
    Origin origin;
    const auto gateway = SealedGateway::start(policy_for(origin.wire.port(), "placeholder = \"dummy-value\""), kNames);
    if (!gateway) return;
    std::string answer;
    const std::vector<std::pair<std::string, std::string>> tries = {
        {"X-Any: DUMMY-value\r\n", "/"},
        {"Authorization: Basic dTpkdW1teS12YWx1ZQ==\r\n", "/"},
        {"", "/?leak=dummy%2dvalue"},
        {"Connection: X-Leak\r\nDummy-Value: 1\r\n", "/"}};
    for (const auto& [fields, path] : tries) {
        CHECK(origin.sees(*gateway, fields, answer, "other.test", path) == "");
        CHECK(answer.starts_with("HTTP/1.1 403 "));
    }
    auto denied = gateway->connect_tls("192.0.2.7", 443, "evil.test");  // where the policy refuses it anyway
    denied.send("GET /dummy-value HTTP/1.1\r\nHost: evil.test\r\n\r\n");
    CHECK(denied.read_message().starts_with("HTTP/1.1 403 "));
    const auto events = gateway->finish();
    CHECK(events.size() == 5);
    for (const auto& event : events) CHECK(event.contains("alarm"));
    CHECK(origin.wire.handshakes() == 0);
}

TEST_CASE("secret: never without TLS, and never to an origin whose certificate does not hold") {
    Origin origin;  // its certificate is for api.test, the route's is not
    const auto gateway = SealedGateway::start(
        policy_for(origin.wire.port(), "header = \"x-api-key\"") +
            fmt::format("[[route]]\nhost = \"api.test\"\nto = \"https://other.test:{}\"\n", origin.wire.port()),
        kNames);
    if (!gateway) return;
    std::string answer;
    CHECK(origin.sees(*gateway, "", answer) == "");
    CHECK(answer.starts_with("HTTP/1.1 502 "));
    auto plain = gateway->connect("192.0.2.7", origin.wire.port());
    plain.send(fmt::format("GET / HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", origin.wire.port()));
    CHECK(plain.read_message().starts_with("HTTP/1.1 403 "));
    CHECK(origin.wire.handshakes() == 0);
    const auto events = gateway->finish();
    REQUIRE(events.size() == 2);
    CHECK(events[0].value("secrets", nlohmann::json::array()).empty());  // none was sent
}

TEST_CASE("secret: one that changed is put into the next request on the same connections; the old one never again") {
    Origin origin;
    origin.keeps_connections = true;
    const auto policy = policy_for(origin.wire.port(), "header = \"x-api-key\"");
    const auto gateway = SealedGateway::start(policy, kNames);
    if (!gateway) return;
    auto client = gateway->connect_tls("192.0.2.7", origin.wire.port(), "api.test");
    const auto request = fmt::format("GET / HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", origin.wire.port());
    client.send(request);
    CHECK(client.read_message().ends_with("ok"));
    REQUIRE(origin.served.try_acquire());
    CHECK(holds(origin.head, "real-value-1"));
    ::setenv("SALLYPORT_TEST_REAL", "real-value-2", 1);
    CHECK(gateway->replace_policy(policy) == 0);
    client.send(request);
    CHECK(client.read_message().ends_with("ok"));
    REQUIRE(origin.served.try_acquire());
    CHECK(holds(origin.head, "real-value-2"));
    CHECK_FALSE(holds(origin.head, "real-value-1"));
    CHECK(origin.wire.connections() == 1);
}
