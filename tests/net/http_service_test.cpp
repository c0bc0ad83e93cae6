// A client and an origin that say exactly what the test writes, and the gateway between them.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <semaphore>
#include <string>

#include "tests/support/gateway_fixture.hpp"
#include "tests/support/wire_peer.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kName = "127.0.0.1";

/// Allows everything towards the origin on loopback but what a test forbids.
std::string policy_for(std::uint16_t port, const std::string& more = "") {
    return fmt::format("[[allow]]\nhost = \"127.0.0.1\"\nport = {}\nprivate = true\n{}", port, more);
}

std::string response(const std::string& body, const std::string& fields = "") {
    return fmt::format("HTTP/1.1 200 OK\r\n{}Content-Length: {}\r\n\r\n{}", fields, body.size(), body);
}

std::string get(const std::string& path, std::uint16_t port, const std::string& fields = "") {
    return fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}\r\n", path, port, fields);
}

}  // namespace

TEST_CASE("an allowed request arrives and its answer comes back; the connection is kept on both sides") {
    WireOrigin origin([](WirePeer& peer) {
        for (int i = 0; i < 2; ++i) {
            CHECK(peer.read_message().starts_with(i == 0 ? "GET /one HTTP/1.1\r\n" : "GET /two?a=b HTTP/1.1\r\n"));
            peer.send(response(i == 0 ? "first" : "second"));
        }
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/one", origin.port()));
    CHECK(client.read_message().ends_with("first"));
    client.send(get("/two?a=b", origin.port()));
    CHECK(client.read_message().ends_with("second"));
    CHECK(origin.connections() == 1);
}

TEST_CASE("pipelined requests are answered in their order, each decided anew") {
    WireOrigin origin([](WirePeer& peer) {
        CHECK(peer.read_message().starts_with("GET /a "));
        peer.send(response("A"));
        CHECK(peer.read_message().starts_with("GET /b "));  // not /secret: it never came
        peer.send(response("B"));
    });
    GatewayFixture gateway(policy_for(origin.port(), "[[deny]]\nhost = \"127.0.0.1\"\nport = [1, " +
                                                         std::to_string(origin.port()) + "]\npath = \"/secret\"\n"));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/a", origin.port()) + get("/secret", origin.port()) + get("/b", origin.port()));
    CHECK(client.read_message().ends_with("A"));
    const auto refused = client.read_message();
    CHECK(refused.starts_with("HTTP/1.1 403 "));
    CHECK(refused.find("test.toml:") != std::string::npos);
    CHECK(client.read_message().ends_with("B"));
    CHECK(origin.connections() == 1);
}

TEST_CASE("a host that nothing allows is refused with the lines that would allow it, and never dialled") {
    WireOrigin origin([](WirePeer&) { CHECK(false); });
    GatewayFixture gateway("");
    auto client = gateway.http_client(kName, origin.port());
    client.send("POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nContent-Length: 5\r\n\r\nhello");
    const auto refused = client.read_message();
    CHECK(refused.starts_with("HTTP/1.1 403 "));
    CHECK(refused.find("application/json") != std::string::npos);
    CHECK(refused.find("[[allow]]") != std::string::npos);
    CHECK(refused.find("hello") == std::string::npos);
    CHECK(client.closed());
    CHECK(origin.connections() == 0);
}

TEST_CASE("chunked bodies stream both ways, trailers included, while both are open") {
    WireOrigin origin([](WirePeer& peer) {
        const auto head = peer.read_until("\r\n\r\n");
        CHECK(head.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
        CHECK(head.find("Content-Length") == std::string::npos);
        CHECK(peer.read_until("\r\n") == "4\r\n");
        CHECK(peer.read_until("\r\n") == "ping\r\n");
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\npong\r\n");
        CHECK(peer.read_until("0\r\n\r\n").find("done") != std::string::npos);
        peer.send("3\r\nend\r\n0\r\nX-Sum: 7\r\nContent-Type: evil\r\n\r\n");
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(fmt::format("POST / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n",
                            origin.port()));
    client.read_until("\r\n\r\n");
    CHECK(client.read_exactly(9) == "4\r\npong\r\n");  // arrived while the request was still open
    client.send("4\r\ndone\r\n0\r\n\r\n");
    CHECK(client.read_until("\r\n\r\n") == "3\r\nend\r\n0\r\nX-Sum: 7\r\n\r\n");
}

TEST_CASE("an event of a stream is forwarded when it arrives, not when the next one does") {
    std::counting_semaphore<> seen(0);
    WireOrigin origin([&](WirePeer& peer) {
        peer.read_message();
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
        for (int i = 0; i < 3; ++i) {
            peer.send(fmt::format("data: {}\n\n", i));
            CHECK(seen.try_acquire_for(std::chrono::seconds(10)));  // the next one waits for this one to be read
        }
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/events", origin.port()));
    client.read_until("\r\n\r\n");
    for (int i = 0; i < 3; ++i) {
        CHECK(client.read_until(fmt::format("data: {}\n\n\r\n", i)).starts_with("9\r\n"));
        seen.release();
    }
}

TEST_CASE("100-continue is the origin's to give, and a refusal comes before any body") {
    WireOrigin origin([](WirePeer& peer) {
        CHECK(peer.read_until("\r\n\r\n").find("Expect: 100-continue") != std::string::npos);
        CHECK(peer.silent_for(100));
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        CHECK(peer.read_exactly(4) == "body");
        peer.send(response("ok"));
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(fmt::format(
        "PUT /f HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", origin.port()));
    CHECK(client.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body");
    CHECK(client.read_message().ends_with("ok"));
}

TEST_CASE("HEAD, 204 and 304 have no body and keep the connection in step") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_message();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        peer.read_message();
        peer.send("HTTP/1.1 204 No Content\r\n\r\n");
        peer.read_message();
        peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n");
        peer.read_message();
        peer.send(response("last"));
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(fmt::format("HEAD / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", origin.port()));
    CHECK(client.read_until("\r\n\r\n").find("Content-Length: 1000") != std::string::npos);
    client.send(get("/", origin.port()));
    CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 204 "));
    client.send(get("/", origin.port()));
    CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 304 "));
    client.send(get("/", origin.port()));
    CHECK(client.read_message().ends_with("last"));
    CHECK(origin.connections() == 1);
}

TEST_CASE("a body without length ends with the origin's connection: chunked for HTTP/1.1, close for HTTP/1.0") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_message();
        peer.send("HTTP/1.0 200 OK\r\n\r\nall of it");
        peer.close();
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto modern = gateway.http_client(kName, origin.port());
    modern.send(get("/", origin.port()));
    CHECK(modern.read_until("0\r\n\r\n").find("9\r\nall of it\r\n") != std::string::npos);
    auto old = gateway.http_client(kName, origin.port());
    old.send("GET / HTTP/1.0\r\n\r\n");
    const auto whole = old.read_to_end();
    CHECK(whole.ends_with("\r\n\r\nall of it"));
    CHECK(whole.find("chunked") == std::string::npos);
}

TEST_CASE("a kept connection that the origin has closed is not a failure of the next request") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_message();
        peer.send(response("once"));
        peer.close();
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    for (int i = 0; i < 3; ++i) {
        client.send(get("/", origin.port()));
        CHECK(client.read_message().ends_with("once"));
    }
    CHECK(origin.connections() == 3);
}

TEST_CASE("a cut response is never taken for a whole one") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_message();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        peer.close();
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/", origin.port()));
    const auto got = client.read_to_end();
    CHECK(got.ends_with("half"));
    CHECK(got.find("Content-Length: 100") != std::string::npos);
}

TEST_CASE("an origin that speaks nonsense, or nobody, is a 502 that says so") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_message();
        peer.send("220 mail.example ESMTP\r\n\r\n");
    });
    GatewayFixture gateway(policy_for(origin.port(), "[[allow]]\nhost=\"127.0.0.1\"\nport=1\nprivate=true\n"));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/", origin.port()));
    CHECK(client.read_message().starts_with("HTTP/1.1 502 "));
    auto nobody = gateway.http_client(kName, 1);
    nobody.send(get("/", 1));
    CHECK(nobody.read_message().starts_with("HTTP/1.1 502 "));
}

TEST_CASE("smuggling: what follows an ambiguous request is never read as a request") {
    WireOrigin origin([](WirePeer&) { CHECK(false); });
    GatewayFixture gateway(policy_for(origin.port()));
    for (const char* framing :
         {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: xchunked\r\n",
          "Content-Length: 4\r\nContent-Length: 5\r\n", "Transfer-Encoding : chunked\r\n"}) {
        auto client = gateway.http_client(kName, origin.port());
        client.send(fmt::format("POST / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}\r\n0\r\n\r\n", origin.port(), framing) +
                    get("/smuggled", origin.port()));
        const auto all = client.read_to_end();
        CHECK(all.starts_with("HTTP/1.1 400 "));
        CHECK(all.find("HTTP/1.1", 10) == std::string::npos);  // one answer only
    }
    CHECK(origin.connections() == 0);
}

TEST_CASE("refused before any origin is asked: fronting, proxies, TRACE, upgrades, odd targets") {
    WireOrigin origin([](WirePeer&) { CHECK(false); });
    GatewayFixture gateway(policy_for(origin.port()));
    const auto port = origin.port();
    const auto answer = [&](const std::string& request) {
        auto client = gateway.http_client(kName, port);
        client.send(request);
        return client.read_message().substr(9, 3);
    };
    const auto host = fmt::format("Host: 127.0.0.1:{}\r\n", port);
    CHECK(answer("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n") == "403");
    CHECK(answer("GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n") == "421");
    CHECK(answer("GET / HTTP/1.1\r\n\r\n") == "400");
    CHECK(answer("GET http://evil.example/ HTTP/1.1\r\n" + host + "\r\n") == "400");
    CHECK(answer("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n") == "405");
    CHECK(answer("TRACE / HTTP/1.1\r\n" + host + "\r\n") == "405");
    CHECK(answer("GET / HTTP/1.1\r\n" + host + "Connection: upgrade\r\nUpgrade: irc\r\n\r\n") == "501");
    CHECK(answer("GET /%2e%2e%00 HTTP/1.1\r\n" + host + "\r\n") == "400");
    CHECK(answer("GET /..%2f..%2fetc HTTP/1.1\r\n" + host + "\r\n") == "400");
    CHECK(origin.connections() == 0);
}

TEST_CASE("connection fields end at the gateway and the path is sent on in the form that was decided on") {
    WireOrigin origin([](WirePeer& peer) {
        const auto head = peer.read_message();
        CHECK(head.starts_with("GET /b/c?x=1 HTTP/1.1\r\n"));
        CHECK(head.find("X-Hop") == std::string::npos);
        CHECK(head.find("Keep-Alive") == std::string::npos);
        CHECK(head.find("X-Stays: yes\r\n") != std::string::npos);
        peer.send(response("ok", "Connection: X-Private\r\nX-Private: 1\r\nX-Public: 2\r\n"));
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(
        get("/a/../b/%63?x=1", origin.port(), "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-Stays: yes\r\n"));
    const auto answer = client.read_message();
    CHECK(answer.find("X-Private") == std::string::npos);
    CHECK(answer.find("X-Public: 2") != std::string::npos);
}

TEST_CASE("a secret is never put on plaintext, and a placeholder never leaves on it") {
    WireOrigin origin([](WirePeer&) { CHECK(false); });
    ::setenv("SALLYPORT_TEST_KEY", "the-real-key", 1);
    GatewayFixture gateway(policy_for(origin.port(),
                                      "[[secret]]\nname = \"k\"\nhost = \"127.0.0.1\"\nheader = \"x-api-key\"\n"
                                      "value = { env = \"SALLYPORT_TEST_KEY\" }\nplaceholder = \"placeholder-1\"\n"));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/", origin.port(), "x-api-key: placeholder-1\r\n"));
    const auto refused = client.read_message();
    CHECK(refused.starts_with("HTTP/1.1 403 "));
    CHECK(refused.find("the-real-key") == std::string::npos);
    CHECK(origin.connections() == 0);
}

TEST_CASE("a client that sends a head byte by byte is cut off at the time limit") {
    WireOrigin origin([](WirePeer&) { CHECK(false); });
    session::TimeLimits limits;
    limits.head = std::chrono::seconds(1);
    GatewayFixture gateway(policy_for(origin.port()), limits);
    auto client = gateway.http_client(kName, origin.port());
    client.send("GET / HTTP/1.1\r\nHo");
    CHECK(client.read_to_end().starts_with("HTTP/1.1 408 "));
    CHECK(origin.connections() == 0);
}

TEST_CASE("a large body needs no more memory than a small one: a client that does not read stops the origin") {
    constexpr std::size_t kTotal = 256 * 1024 * 1024;
    std::atomic<std::size_t> sent = 0;
    std::binary_semaphore stalled(0);
    WireOrigin origin([&](WirePeer& peer) {
        peer.read_message();
        peer.send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", kTotal));
        const std::string block(65536, 'x');
        for (bool told = false; sent < kTotal; sent += block.size()) {
            if (!told && !peer.writable_within(300)) {
                told = true;
                stalled.release();
            }
            peer.send(block);
        }
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/", origin.port()));
    // What the origin got rid of lies in the kernel's socket buffers and in one block of ours.
    REQUIRE(stalled.try_acquire_for(std::chrono::seconds(30)));
    CHECK(sent < kTotal / 8);
    client.read_until("\r\n\r\n");
    std::size_t got = 0;
    for (std::string block; got < kTotal && !(block = client.read_exactly(1 << 20)).empty();) got += block.size();
    CHECK(got == kTotal);
}
