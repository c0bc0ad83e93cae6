// A connection that changes from HTTP to WebSocket: who may, what opens the tunnel, and what goes through it.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
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
constexpr std::chrono::seconds kLong{10};
// RFC 6455, section 1.3
const std::string kKey = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
const std::string kAccept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
const std::string kAsks = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

std::string policy_for(std::uint16_t port, const std::string& more = "") {
    return fmt::format("[[allow]]\nhost = \"127.0.0.1\"\nport = {}\nprivate = true\n{}", port, more);
}

std::string handshake(std::uint16_t port, const std::string& fields = "", const std::string& path = "/chat") {
    return fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}{}{}\r\n", path, port, kAsks, kKey, fields);
}

std::string switching(const std::string& fields = "") {
    return "HTTP/1.1 101 Switching Protocols\r\n" + kAsks + kAccept + fields + "\r\n";
}

std::string ordinary(const std::string& status, const std::string& body) {
    return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n\r\n{}", status, body.size(), body);
}

std::string get(const std::string& path, std::uint16_t port) {
    return fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", path, port);
}

}  // namespace

TEST_CASE("websocket: the handshake passes with its fields, then bytes go both ways, and none of them is looked at") {
    WireOrigin origin([](WirePeer& peer) {
        const auto head = peer.read_until("\r\n\r\n");
        CHECK(head.starts_with("GET /chat HTTP/1.1\r\n"));
        CHECK(head.find("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n") != std::string::npos);
        CHECK(head.find("Sec-WebSocket-Protocol: one, two\r\n") != std::string::npos);
        CHECK(head.find("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n") !=
              std::string::npos);
        CHECK(head.ends_with("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
        // Behind the head at once, as a server that greets does.
        peer.send(switching("Sec-WebSocket-Protocol: two\r\nSec-WebSocket-Extensions: permessage-deflate\r\n") +
                  "hello");
        CHECK(peer.read_exactly(7) == std::string("\x81\0\r\n\r\nX", 7));
        peer.send("GET /no HTTP/1.1\r\n\r\n");
        CHECK(peer.read_until("\r\n\r\n") == "GET /admin HTTP/1.1\r\n\r\n");  // a tunnel: that is the origin's business
        CHECK(peer.closed());
        peer.send("bye");
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(handshake(origin.port(),
                          "Sec-WebSocket-Protocol: one, two\r\n"
                          "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"));
    CHECK(client.read_until("\r\n\r\n") ==
          "HTTP/1.1 101 Switching Protocols\r\n" + kAccept +
              "Sec-WebSocket-Protocol: two\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" + kAsks + "\r\n");
    CHECK(client.read_exactly(5) == "hello");
    client.send(std::string_view("\x81\0\r\n\r\nX", 7));
    CHECK(client.read_until("\r\n\r\n") == "GET /no HTTP/1.1\r\n\r\n");
    client.send("GET /admin HTTP/1.1\r\n\r\n");
    client.shutdown_write();
    CHECK(client.read_to_end() == "bye");
    const auto events = gateway.finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["decision"] == "allow");
    CHECK(events[0]["method"] == "GET");
    CHECK(events[0]["path"] == "/chat");
    CHECK(events[0]["status"] == 101);
    CHECK(events[0]["reason"] == "allowed");
    CHECK(events[0]["bytes_out"] == 7 + 23);
    CHECK(events[0]["bytes_in"] == 5 + 20 + 3);
    CHECK(events[0].contains("duration_ms"));
}

TEST_CASE("websocket: what a client sends right behind its handshake waits for the answer and then goes through") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        CHECK(peer.silent_for(100));  // until it has agreed
        peer.send(switching());
        CHECK(peer.read_exactly(5) == "early");
        peer.send("late");
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(handshake(origin.port()) + "early");
    client.read_until("\r\n\r\n");
    CHECK(client.read_to_end() == "late");  // the origin's end is the end of both
}

TEST_CASE("websocket: refused by policy with a page that says why, and the origin never hears of it") {
    WireOrigin origin([](WirePeer&) { CHECK(false); });
    GatewayFixture gateway(policy_for(origin.port(), "path = \"/public/**\"\n"));
    auto client = gateway.http_client(kName, origin.port());
    client.send(handshake(origin.port()));
    const auto refused = client.read_message();
    CHECK(refused.starts_with("HTTP/1.1 403 "));
    CHECK(refused.find("no rule allows GET /chat") != std::string::npos);
    client.send(handshake(origin.port(), "", "/public/../chat"));  // it is HTTP still
    CHECK(client.read_message().starts_with("HTTP/1.1 403 "));
    CHECK(origin.connections() == 0);
}

TEST_CASE(
    "websocket: an upgrade that could mean two things is refused, and what follows it is not taken for a request") {
    WireOrigin origin([](WirePeer&) { CHECK(false); });
    GatewayFixture gateway(policy_for(origin.port()));
    const auto port = origin.port();
    const auto host = fmt::format("Host: 127.0.0.1:{}\r\n", port);
    for (const std::string& request : {
             handshake(port, "Content-Length: 5\r\n") + "hello",
             handshake(port, "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n",
             "POST /chat HTTP/1.1\r\n" + host + kAsks + kKey + "\r\n",
             "GET /chat HTTP/1.1\r\n" + host + "Upgrade: websocket\r\n" + kKey + "\r\n",
             "GET /chat HTTP/1.1\r\n" + host + kAsks + "\r\n",
             "GET /chat HTTP/1.0\r\n" + host + kAsks + kKey + "\r\n",
         }) {
        CAPTURE(request);
        auto client = gateway.http_client(kName, port);
        client.send(request);
        CHECK(client.read_message().starts_with("HTTP/1.1 400 "));
    }
    CHECK(origin.connections() == 0);
}

TEST_CASE("websocket: an origin that does not switch answers like any other, and HTTP goes on") {
    WireOrigin origin([turn = 0](WirePeer& peer) mutable {
        peer.read_message();
        if (++turn > 1) {
            peer.send(ordinary("200 OK", "fine"));
        } else {
            peer.send("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\n" + kAsks +
                      "Content-Length: 2\r\n\r\nno");
            CHECK(peer.closed());
        }
    });
    GatewayFixture gateway(policy_for(origin.port(), "[[deny]]\nhost = \"127.0.0.1\"\nport = " +
                                                         std::to_string(origin.port()) + "\npath = \"/secret\"\n"));
    auto client = gateway.http_client(kName, origin.port());
    // What stands behind the handshake was meant for a tunnel that is not there: it is a request, judged as one.
    client.send(handshake(origin.port()) + get("/secret", origin.port()));
    const auto answer = client.read_message();
    CHECK(answer.starts_with("HTTP/1.1 426 "));
    CHECK(answer.ends_with("Sec-WebSocket-Version: 8\r\nContent-Length: 2\r\n\r\nno"));
    CHECK(client.read_message().starts_with("HTTP/1.1 403 "));
    client.send(get("/", origin.port()));
    CHECK(client.read_message().ends_with("fine"));
    CHECK(origin.connections() == 2);  // that one is not used again: somebody behind it may believe in a tunnel
}

TEST_CASE("websocket: a 101 that is not the answer to the handshake opens no tunnel") {
    const std::string switched = "HTTP/1.1 101 Switching Protocols\r\n";
    const std::string answers[] = {
        switched + kAsks + "\r\n",
        switched + kAsks + "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        switched + "Connection: Upgrade\r\nUpgrade: h2c\r\n" + kAccept + "\r\n",
        switched + kAccept + "\r\n",
    };
    std::size_t turn = 0;
    WireOrigin origin([&](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(answers[turn++]);
        CHECK(peer.closed());  // and nothing of what the client goes on to say
    });
    GatewayFixture gateway(policy_for(origin.port()));
    for (std::size_t i = 0; i < std::size(answers); ++i) {
        CAPTURE(i);
        auto client = gateway.http_client(kName, origin.port());
        client.send(handshake(origin.port()));
        CHECK(client.read_message().starts_with("HTTP/1.1 502 "));
        client.send("PATCH /smuggled");
    }
    const auto events = gateway.finish();
    CHECK(std::count_if(events.begin(), events.end(), [](const auto& it) { return it["status"] == 502; }) == 4);
    for (const auto& event : events) CHECK(event["status"] != 101);
}

TEST_CASE("websocket: a switch that nobody asked for is an origin's failure") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_message();
        peer.send(switching());
        CHECK(peer.closed());
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(get("/", origin.port()));
    const auto answer = client.read_message();
    CHECK(answer.starts_with("HTTP/1.1 502 "));
    CHECK(answer.find("without being asked") != std::string::npos);
}

TEST_CASE("websocket: an interim response before the switch passes") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + switching() + "x");
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(handshake(origin.port()));
    CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 103 "));
    CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
    CHECK(client.read_to_end() == "x");
}

TEST_CASE("websocket: a policy that no longer allows it ends the tunnel; another one does not") {
    WireOrigin origin([](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(switching());
        for (std::string word; !(word = peer.read_exactly(4)).empty();) peer.send(word);
    });
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.http_client(kName, origin.port());
    client.send(handshake(origin.port()));
    client.read_until("\r\n\r\n");
    CHECK(gateway.replace_policy(policy_for(origin.port(), "path = \"/chat\"\n")) == 0);
    client.send("ping");
    CHECK(client.read_exactly(4) == "ping");
    CHECK(gateway.replace_policy(policy_for(origin.port(), "path = \"/other\"\n")) == 1);
    CHECK(client.is_reset());
    const auto events = gateway.finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["status"] == 101);
    CHECK(events[0]["decision"] == "allow");
    CHECK(std::string(events[0]["reason"])
              .starts_with("allowed, ended: the policy has changed: no rule allows GET /chat"));
    CHECK(events[0]["bytes_out"] == 4);
    CHECK(events[0]["bytes_in"] == 4);
}

TEST_CASE("websocket: idle for longer than any request may be, and ended when its own time has passed") {
    session::TimeLimits limits;
    limits.exchange = limits.keep_alive = limits.head = std::chrono::seconds(2);
    limits.tunnel.idle = std::chrono::seconds(7);
    WireOrigin origin([](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(switching());
        CHECK(peer.silent_for(3000));
        peer.send("late");
        CHECK(peer.closed());
    });
    GatewayFixture gateway(policy_for(origin.port()), limits);
    auto client = gateway.http_client(kName, origin.port());
    client.send(handshake(origin.port()));
    client.read_until("\r\n\r\n");
    CHECK(client.read_exactly(4) == "late");
    CHECK(client.is_reset());
    const auto events = gateway.finish();
    REQUIRE(events.size() == 1);
    CHECK(std::string(events[0]["reason"]).find("no byte in either direction") != std::string::npos);
}

TEST_CASE("websocket: when one side has closed, the other is waited for, though not for ever") {
    session::TimeLimits limits;
    limits.tunnel.closing = std::chrono::seconds(1);
    std::binary_semaphore over(0);
    WireOrigin origin([&](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(switching());
        CHECK(peer.closed());         // the client's close, while our side is open
        over.try_acquire_for(kLong);  // and stays so
    });
    GatewayFixture gateway(policy_for(origin.port()), limits);
    auto client = gateway.http_client(kName, origin.port());
    client.send(handshake(origin.port()));
    client.read_until("\r\n\r\n");
    client.shutdown_write();
    CHECK(client.is_reset());
    over.release();
}

TEST_CASE("websocket: a peer that is killed ends the tunnel at once, and what it had said arrives") {
    for (const bool client_dies : {true, false}) {
        CAPTURE(client_dies);
        std::binary_semaphore ready(0), heard(0);
        WireOrigin origin([&](WirePeer& peer) {
            peer.read_until("\r\n\r\n");
            peer.send(switching() + "last words");
            if (client_dies) {
                CHECK(peer.read_to_end() == "last words");
                heard.release();
            } else {
                CHECK(ready.try_acquire_for(kLong));
                peer.reset();
            }
        });
        GatewayFixture gateway(policy_for(origin.port()));
        auto client = gateway.http_client(kName, origin.port());
        client.send(handshake(origin.port()));
        client.read_until("\r\n\r\n");
        CHECK(client.read_exactly(10) == "last words");
        ready.release();
        if (client_dies) {
            client.send("last words");
            client.close();
            CHECK(heard.try_acquire_for(kLong));
        } else {
            CHECK(client.closed());
        }
    }
}

TEST_CASE("websocket: a secret is put into the handshake on TLS only, and nothing is replaced in what is relayed") {
    ::setenv("SALLYPORT_TEST_KEY", "the-real-key", 1);
    WireOrigin origin([](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(switching());
        peer.send(peer.read_exactly(13));
    });
    const std::string secret =
        "[[secret]]\nname = \"k\"\nhost = \"{}\"\nheader = \"x-api-key\"\n"
        "value = {{ env = \"SALLYPORT_TEST_KEY\" }}\nplaceholder = \"placeholder-1\"\n";
    {
        GatewayFixture gateway(policy_for(origin.port(), fmt::format(fmt::runtime(secret), "127.0.0.1")));
        auto client = gateway.http_client(kName, origin.port());
        client.send(handshake(origin.port(), "x-api-key: placeholder-1\r\n"));
        CHECK(client.read_message().starts_with("HTTP/1.1 403 "));
        CHECK(origin.connections() == 0);
    }
    ::setenv("SALLYPORT_TEST_KEY", "the-real-key", 1);  // whoever reads it wipes it
    GatewayFixture gateway(policy_for(origin.port(), fmt::format(fmt::runtime(secret), "other.test")));
    auto client = gateway.http_client(kName, origin.port());
    client.send(handshake(origin.port()) + "placeholder-1");
    client.read_until("\r\n\r\n");
    CHECK(client.read_to_end() == "placeholder-1");
}

TEST_CASE("websocket: a side that does not read stops the other one, whatever that wants to send") {
    constexpr std::size_t kTotal = 128 * 1024 * 1024;
    std::atomic<std::size_t> sent = 0;
    std::binary_semaphore stalled(0);
    WireOrigin origin([&](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(switching());
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
    client.send(handshake(origin.port()));
    REQUIRE(stalled.try_acquire_for(std::chrono::seconds(30)));
    CHECK(sent < kTotal / 8);  // in the kernel's socket buffers and in one block of ours
    client.read_until("\r\n\r\n");
    std::size_t got = 0;
    for (std::string block; got < kTotal && !(block = client.read_exactly(1 << 20)).empty();) got += block.size();
    CHECK(got == kTotal);
}
