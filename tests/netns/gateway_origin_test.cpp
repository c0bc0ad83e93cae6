// What origins can do to the gateway and to the client behind it.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <semaphore>

#include "tests/support/sealed_gateway.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kAddress = "192.0.2.7";
const std::vector<std::pair<std::string, std::string>> kNames = {{"api.test", "127.0.0.1"}};

std::string policy_for(std::uint16_t port) {
    return fmt::format("[[allow]]\nhost = \"api.test\"\nport = {}\nprivate = true\n", port);
}

std::string get(std::uint16_t port, const std::string& path = "/x") {
    return fmt::format("GET {} HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", path, port);
}

std::string ok(const std::string& body) {
    return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

tls::SslCtxPtr good_server() { return testing::make_server(SealedGateway::origin_ca().good("api.test")); }

}  // namespace

TEST_CASE("an origin whose certificate does not hold is a 502 that says why, and gets not one byte of the request") {
    const auto& ca = SealedGateway::origin_ca();
    const testing::TestCa other("Another CA");
    struct Case {
        testing::Identity identity;
        std::string why;
    };
    Case cases[] = {{ca.expired("api.test"), "expired"},
                    {ca.not_yet_valid("api.test"), "not yet valid"},
                    {ca.good("other.test"), "other.test"},
                    {testing::TestCa::self_signed("api.test"), "self-signed"},
                    {other.good("api.test"), "trusted authority"}};
    for (const auto& tried : cases) {
        CAPTURE(tried.why);
        WireOrigin origin([](WirePeer& peer) { CHECK(peer.read_to_end() == ""); },
                          testing::make_server(tried.identity));
        const auto gateway = SealedGateway::start(policy_for(origin.port()), kNames);
        if (!gateway) return;
        auto client = gateway->connect_tls(kAddress, origin.port(), "api.test");
        client.send(get(origin.port(), "/secret-path"));
        const auto page = client.read_message();
        CHECK(page.starts_with("HTTP/1.1 502 "));
        CHECK(page.find("certificate") != std::string::npos);
        CAPTURE(page);
        CHECK(page.find(tried.why) != std::string::npos);
        CHECK(origin.connections() == 1);
        const auto events = gateway->finish();
        REQUIRE(events.size() == 1);
        CHECK(events[0]["status"] == 502);
    }
}

TEST_CASE("an origin that closes, resets or lies before its head is done is a 502; the client's connection lives on") {
    int turn = 0;
    WireOrigin origin(
        [&](WirePeer& peer) {
            peer.read_message();
            switch (turn++) {
                case 0:
                    break;
                case 1:
                    peer.reset();
                    break;
                case 2:
                    peer.send("HTTP/1.1 200 OK\r\nContent-Le");
                    break;
                case 3:
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
                    break;
                case 4:
                    peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
                    break;
                case 5:
                    peer.send("HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n");
                    break;
                default:
                    peer.send(ok("fine"));
                    break;
            }
        },
        good_server());
    const auto gateway = SealedGateway::start(policy_for(origin.port()), kNames);
    if (!gateway) return;
    auto client = gateway->connect_tls(kAddress, origin.port(), "api.test");
    for (int i = 0; i < 6; ++i) {
        CAPTURE(i);
        client.send(get(origin.port()));
        CHECK(client.read_message().starts_with("HTTP/1.1 502 "));
    }
    client.send(get(origin.port()));
    CHECK(client.read_message().ends_with("fine"));
    const auto events = gateway->finish();
    CHECK(events.size() == 7);
}

TEST_CASE("an origin that stalls: in its handshake or before its head a 504, in its body a reset") {
    session::TimeLimits limits;
    limits.connect = std::chrono::seconds(5);  // also what the others have until their handshake is done
    limits.exchange = std::chrono::seconds(2);
    WireOrigin mute([](WirePeer& peer) { peer.read_to_end(); });  // TCP, and never a byte of TLS
    WireOrigin headless([](WirePeer& peer) { peer.read_to_end(); }, good_server());
    WireOrigin half(
        [](WirePeer& peer) {
            peer.read_message();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            peer.read_to_end();
        },
        good_server());
    const auto gateway = SealedGateway::start(
        policy_for(mute.port()) + policy_for(headless.port()) + policy_for(half.port()), kNames, limits);
    if (!gateway) return;
    auto at_mute = gateway->connect_tls(kAddress, mute.port(), "api.test");
    auto at_headless = gateway->connect_tls(kAddress, headless.port(), "api.test");
    auto at_half = gateway->connect_tls(kAddress, half.port(), "api.test");
    at_mute.send(get(mute.port()));
    at_headless.send(get(headless.port()));
    at_half.send(get(half.port()));
    CHECK(at_mute.read_to_end().starts_with("HTTP/1.1 504 "));
    CHECK(at_headless.read_to_end().starts_with("HTTP/1.1 504 "));
    CHECK(at_half.read_until("hello").starts_with("HTTP/1.1 200 "));
    CHECK(at_half.is_reset());
    CHECK(gateway->finish().size() == 3);
}

TEST_CASE("bytes behind a response, or before a request, are never taken for the answer of the next request") {
    std::binary_semaphore early(0);
    WireOrigin origin(
        [&, turn = 0](WirePeer& peer) mutable {
            peer.read_message();
            ++turn;
            if (turn == 1) peer.send(ok("first") + ok("poison"));
            if (turn == 2) {
                peer.send(ok("second"));
                peer.send(ok("poison"));  // in a record of its own, perhaps when the connection is idle already
                early.release();
            }
            if (turn == 3) peer.send(ok("third"));
        },
        good_server());
    const auto gateway = SealedGateway::start(policy_for(origin.port()), kNames);
    if (!gateway) return;
    auto client = gateway->connect_tls(kAddress, origin.port(), "api.test");
    for (const char* expected : {"first", "second", "third"}) {
        if (std::string(expected) == "third") early.acquire();
        client.send(get(origin.port()));
        CHECK(client.read_message().ends_with(expected));
    }
    CHECK(origin.connections() == 3);
}

TEST_CASE("one connection to the origin serves several of clients, one after another") {
    WireOrigin origin(
        [](WirePeer& peer) {
            while (!peer.read_message().empty()) peer.send(ok("pooled"));
        },
        good_server());
    const auto gateway = SealedGateway::start(policy_for(origin.port()), kNames);
    if (!gateway) return;
    for (int i = 0; i < 4; ++i) {
        auto client = gateway->connect_tls(kAddress, origin.port(), "api.test");
        for (int k = 0; k < 2; ++k) {
            client.send(get(origin.port()));
            CHECK(client.read_message().ends_with("pooled"));
        }
    }
    CHECK(origin.connections() == 1);
    CHECK(gateway->finish().size() == 8);
}

TEST_CASE("what decides is what is spoken: HTTP on an odd port and on 443, TLS on 80") {
    WireOrigin plain([](WirePeer& peer) {
        while (!peer.read_message().empty()) peer.send(ok("plain"));
    });
    WireOrigin secure(
        [](WirePeer& peer) {
            while (!peer.read_message().empty()) peer.send(ok("secure"));
        },
        good_server());
    const auto gateway =
        SealedGateway::start(fmt::format("[[allow]]\nhost = \"plain.test\"\nport = [443, {0}]\nprivate = true\n"
                                         "[[route]]\nhost = \"plain.test\"\nto = \"http://127.0.0.1:{0}\"\n"
                                         "[[allow]]\nhost = \"tls.test\"\nport = 80\nprivate = true\n"
                                         "[[route]]\nhost = \"tls.test\"\nto = \"https://api.test:{1}\"\n",
                                         plain.port(), secure.port()),
                             kNames);
    if (!gateway) return;
    auto odd = gateway->connect(kAddress, plain.port());
    odd.send(fmt::format("GET / HTTP/1.1\r\nHost: plain.test:{}\r\n\r\n", plain.port()));
    CHECK(odd.read_message().ends_with("plain"));
    auto at443 = gateway->connect(kAddress, 443);
    at443.send("GET / HTTP/1.1\r\nHost: plain.test:443\r\n\r\n");
    CHECK(at443.read_message().ends_with("plain"));
    auto at80 = gateway->connect_tls(kAddress, 80, "tls.test");
    at80.send("GET / HTTP/1.1\r\nHost: tls.test:80\r\n\r\n");
    CHECK(at80.read_message().ends_with("secure"));
}

TEST_CASE("private addresses: a name that resolves to one is refused but where its rule says private") {
    WireOrigin origin([](WirePeer&) { CHECK(false); });
    const auto gateway = SealedGateway::start(
        fmt::format("[[allow]]\nhost = [\"api.test\", \"meta.test\", \"own.test\"]\nport = {}\n", origin.port()),
        {{"api.test", "127.0.0.1"}, {"meta.test", "169.254.169.254"}, {"own.test", "10.1.2.3"}});
    if (!gateway) return;
    for (const std::string name : {"api.test", "meta.test", "own.test"}) {
        auto client = gateway->connect_tls(gateway->lookup(name), origin.port(), name);
        client.send(fmt::format("GET / HTTP/1.1\r\nHost: {}:{}\r\n\r\n", name, origin.port()));
        const auto page = client.read_message();
        CHECK(page.starts_with("HTTP/1.1 403 "));
        CHECK(page.find("private = true") != std::string::npos);
    }
    auto opaque = gateway->connect(gateway->lookup("api.test"), origin.port());
    opaque.send("\x01\x02\x03");
    CHECK(opaque.is_reset());
    CHECK(origin.connections() == 0);
    for (const auto& event : gateway->finish()) CHECK(event["decision"] == "deny");
}
