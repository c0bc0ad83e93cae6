// Which version of HTTP a client is offered depends on its origin, which is asked before any request was judged: what
// that question may not become.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/sealed_gateway.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kAddress = "192.0.2.7";  // nobody's: what the client dials is only recorded
const std::vector<std::pair<std::string, std::string>> kNames = {{"api.test", "127.0.0.1"}, {"evil.test", "127.0.0.1"}};

std::unique_ptr<WireOrigin> origin_of(const std::string& host) {
    return std::make_unique<WireOrigin>(
        [](WirePeer& peer) {
            while (peer.read_message().starts_with("GET "))
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        },
        testing::make_server(SealedGateway::origin_ca().good(host)));
}

std::string allow(const std::string& host, std::uint16_t port) {
    return fmt::format("[[allow]]\nhost = \"{}\"\nport = {}\nprivate = true\n", host, port);
}

/// A client that speaks both versions, with its handshake done.
WirePeer connect(SealedGateway& gateway, const std::string& host, std::uint16_t port) {
    static constexpr unsigned char kBoth[] = "\x02h2\x08http/1.1";
    auto ssl = gateway.tls_client(host);
    SSL_set_alpn_protos(ssl.get(), kBoth, sizeof kBoth - 1);
    auto client = gateway.connect(kAddress, port);
    REQUIRE(client.start_tls(std::move(ssl)) == "");
    return client;
}

}  // namespace

TEST_CASE("version: a host that is denied is not asked, whatever wider rule would allow it") {
    const auto origin = origin_of("evil.test");
    const auto port = origin->port();
    for (const std::string& more : {std::string(), "port = [1, " + std::to_string(port) + "]\n"}) {
        const auto gateway =
            SealedGateway::start(allow("*.test", port) + "[[deny]]\nhost = \"evil.test\"\n" + more, kNames);
        if (!gateway) return;
        connect(*gateway, "evil.test", port);
        gateway->finish();
        CHECK(origin->connections() == 0);
    }
}

TEST_CASE("version: a host that is only passed through, or not on this port, is not asked") {
    const auto origin = origin_of("evil.test");
    const auto port = origin->port();
    const auto gateway = SealedGateway::start(allow("evil.test", 444) + allow("api.test", port), kNames);
    if (!gateway) return;
    connect(*gateway, "evil.test", port);
    gateway->finish();
    CHECK(origin->connections() == 0);
}

TEST_CASE("version: that an origin was asked is on record, where no request follows that is") {
    const auto origin = origin_of("api.test");
    const auto port = origin->port();
    for (const bool requests : {false, true}) {
        CAPTURE(requests);
        const auto gateway = SealedGateway::start(allow("api.test", port), kNames);
        if (!gateway) return;
        auto client = connect(*gateway, "api.test", port);
        if (requests) {
            client.send(fmt::format("GET /x HTTP/1.1\r\nHost: api.test:{}\r\nConnection: close\r\n\r\n", port));
            CHECK(client.read_to_end().ends_with("hello"));
        } else {
            client.shutdown_write();
            CHECK(client.read_to_end() == "");  // the gateway has seen the handshake's end, and all else
        }
        const auto log = gateway->finish();
        REQUIRE(log.size() == 1);
        CHECK(log[0]["event"] == (requests ? "request" : "connection"));
        if (!requests) CHECK(log[0]["protocol"] == "alpn");
        CHECK(log[0]["decision"] == "allow");
        CHECK(log[0]["host"] == "api.test");
        CHECK(log[0]["port"] == port);
    }
}
