// WebSocket over HTTP/2 (RFC 8441): a stream that becomes a tunnel, to an origin that is asked over HTTP/1.1.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <semaphore>
#include <string>

#include "gateway/http/websocket.hpp"
#include "tests/support/gateway_fixture.hpp"
#include "tests/support/http2_peer.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kName = "origin.test";
constexpr std::chrono::seconds kLong{10};

std::string policy_for(std::uint16_t port, const std::string& more = "") {
    return fmt::format("[[allow]]\nhost = \"{}\"\nport = {}\nprivate = true\n{}", kName, port, more);
}

/// Agrees to HTTP/1.1, as an origin of WebSocket does.
tls::SslCtxPtr http1_server() { return testing::make_server(GatewayFixture::origin_ca().good(kName), "http/1.1"); }

std::string value(const std::string& head, const std::string& name) {
    const auto at = head.find("\r\n" + name + ": ");
    if (at == head.npos) return {};
    const auto from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
}

std::string switching(const std::string& request, const std::string& fields = "") {
    return fmt::format(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: {}\r\n{}\r\n",
        http::websocket_accept(value(request, "Sec-WebSocket-Key")), fields);
}

Http2Peer connected(GatewayFixture& gateway, std::uint16_t port) {
    Http2Peer client(gateway.tls_client(kName, port, "h2"), Http2Peer::Role::client);
    client.start();
    return client;
}

Fields connect_to(std::uint16_t port, const Fields& more = {}, const std::string& protocol = "websocket",
                  const std::string& path = "/chat") {
    Fields fields{{":method", "CONNECT"},
                  {":protocol", protocol},
                  {":scheme", "https"},
                  {":path", path},
                  {":authority", fmt::format("{}:{}", kName, port)},
                  {"sec-websocket-version", "13"}};
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
}

std::string field(const Fields& fields, const std::string& name) {
    const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& it) { return it.first == name; });
    return found == fields.end() ? "" : found->second;
}

/// The next block of fields; empty when the stream ends before.
Fields next_fields(Http2Peer& peer, std::uint32_t stream) {
    auto& from = peer.stream(stream);
    peer.wait_for([&] { return !from.blocks.empty() || from.reset || from.ended; });
    if (from.blocks.empty()) return {};
    auto fields = std::move(from.blocks.front());
    from.blocks.pop_front();
    return fields;
}

std::string handshake_of_http1(std::uint16_t port) {
    return fmt::format(
        "GET /chat HTTP/1.1\r\nHost: {}:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        kName, port);
}

std::uint32_t open(Http2Peer& client, const Fields& fields) {
    const auto id = client.new_stream();
    client.send_fields(id, fields, false);
    return id;
}

}  // namespace

TEST_CASE("websocket over h2: an extended CONNECT is the same handshake to the origin, and bytes go both ways") {
    WireOrigin origin(
        [](WirePeer& peer) {
            const auto head = peer.read_until("\r\n\r\n");
            CHECK(head.starts_with("GET /chat HTTP/1.1\r\n"));
            CHECK(value(head, "Sec-WebSocket-Key").size() == 24);
            CHECK(value(head, "sec-websocket-version") == "13");
            CHECK(value(head, "sec-websocket-protocol") == "one, two");
            CHECK(value(head, "sec-websocket-extensions") == "permessage-deflate");
            CHECK(value(head, "Upgrade") == "websocket");
            CHECK(value(head, "Connection") == "Upgrade");
            CHECK(value(head, "Content-Length") == "");
            CHECK(value(head, "Transfer-Encoding") == "");
            peer.send(
                switching(head, "Sec-WebSocket-Protocol: two\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"));
            peer.send("hello");
            CHECK(peer.read_exactly(4) == "ping");
            CHECK(peer.closed());  // by END_STREAM
            peer.send("bye");
            peer.shutdown_write();
        },
        http1_server());
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = connected(gateway, origin.port());
    REQUIRE(client.answers_ping());
    CHECK(client.settings().at(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1);
    const auto id = open(client, connect_to(origin.port(), {{"sec-websocket-protocol", "one, two"},
                                                            {"sec-websocket-extensions", "permessage-deflate"}}));
    const auto answer = next_fields(client, id);
    CHECK(field(answer, ":status") == "200");
    CHECK(field(answer, "sec-websocket-protocol") == "two");
    CHECK(field(answer, "sec-websocket-extensions") == "permessage-deflate");
    for (const char* none : {"sec-websocket-accept", "upgrade", "connection", "content-length"}) {
        CAPTURE(none);
        CHECK(field(answer, none) == "");
    }
    auto& stream = client.stream(id);
    CHECK(client.wait_for([&] { return stream.body == "hello"; }));
    CHECK(client.send_data(id, "ping", true));
    CHECK(client.wait_for([&] { return stream.ended || stream.reset; }));
    CHECK(stream.body == "hellobye");
    CHECK_FALSE(stream.reset);
    CHECK(client.answers_ping());  // the connection goes on
    const auto events = gateway.finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["method"] == "GET");
    CHECK(events[0]["status"] == 101);
    CHECK(events[0]["reason"] == "allowed");
    CHECK(events[0]["bytes_out"] == 4);
    CHECK(events[0]["bytes_in"] == 8);
}

TEST_CASE("websocket over h2: judged by the rules for GET; other protocols, and what is no handshake, are refused") {
    WireOrigin origin([](WirePeer&) { CHECK(false); }, http1_server());
    GatewayFixture gateway(policy_for(origin.port(), "path = \"/public\"\nmethod = \"GET\"\n"));
    const auto port = origin.port();
    auto client = connected(gateway, port);
    const auto status = [&](const Fields& fields) {
        return field(next_fields(client, open(client, fields)), ":status");
    };
    CHECK(status(connect_to(port)) == "403");
    CHECK(status(connect_to(port, {}, "connect-udp", "/public")) == "501");
    CHECK(status(connect_to(port, {}, "websocket2", "/public")) == "501");
    CHECK(status(connect_to(port, {{"content-length", "5"}}, "websocket", "/public")) == "400");
    const Fields plain{{":method", "CONNECT"}, {":authority", fmt::format("{}:{}", kName, port)}};
    CHECK(status(plain) == "405");
    CHECK(client.answers_ping());
    CHECK(origin.handshakes() <= 1);  // which version it speaks was asked for; nothing else
}

TEST_CASE("websocket over h2: an origin that does not switch, or not as asked, answers like any other") {
    const std::string accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";  // of another key
    const std::string answers[] = {
        "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + accept + "\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    };
    const char* statuses[] = {"404", "502", "200"};
    std::size_t turn = 0;
    WireOrigin origin(
        [&](WirePeer& peer) {
            if (peer.read_until("\r\n\r\n").empty()) return;
            peer.send(answers[turn++]);
            CHECK(peer.closed());  // nothing of what the client says meanwhile
        },
        http1_server());
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = connected(gateway, origin.port());
    for (const char* status : statuses) {
        const auto id = open(client, connect_to(origin.port()));
        client.send_data(id, "GET /smuggled HTTP/1.1\r\n\r\n", false);
        CHECK(field(next_fields(client, id), ":status") == status);
        CHECK(client.wait_for([&] { return client.stream(id).ended; }));
    }
    CHECK(client.answers_ping());
}

TEST_CASE("websocket over h2: a reset by the client closes the origin's connection, and its end ends the stream") {
    std::binary_semaphore closed(0);
    int turn = 0;
    WireOrigin origin(
        [&](WirePeer& peer) {
            const auto head = peer.read_until("\r\n\r\n");
            if (head.empty()) return;
            peer.send(switching(head) + "x");
            if (++turn > 1) return;
            CHECK(peer.closed());
            closed.release();
        },
        http1_server());
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = connected(gateway, origin.port());
    const auto first = open(client, connect_to(origin.port()));
    CHECK(client.wait_for([&] { return client.stream(first).body == "x"; }));
    client.reset(first, NGHTTP2_CANCEL);
    CHECK(closed.try_acquire_for(kLong));
    const auto second = open(client, connect_to(origin.port()));
    CHECK(client.wait_for([&] { return client.stream(second).ended; }));
    CHECK(client.stream(second).body == "x");
    CHECK_FALSE(client.stream(second).reset);
    client.send_data(second, "", true);
    CHECK(client.answers_ping());
}

TEST_CASE("websocket over h2: a policy that no longer allows it resets that stream and no other") {
    WireOrigin origin(
        [](WirePeer& peer) {
            const auto head = peer.read_until("\r\n\r\n");
            if (head.empty()) return;
            peer.send(switching(head) + "x");
            CHECK(peer.closed());
        },
        http1_server());
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = connected(gateway, origin.port());
    const auto id = open(client, connect_to(origin.port()));
    CHECK(client.wait_for([&] { return client.stream(id).body == "x"; }));
    CHECK(gateway.replace_policy(policy_for(origin.port(), "path = \"/other\"\n")) == 1);
    CHECK(client.wait_for([&] { return client.stream(id).reset.has_value(); }));
    CHECK(client.answers_ping());
    const auto events = gateway.finish();
    REQUIRE(events.size() == 1);
    CHECK(std::string(events[0]["reason"]).find("the policy has changed") != std::string::npos);
}

TEST_CASE("websocket over h2: a side that does not read stops the other one, and no other stream") {
    constexpr std::size_t kTotal = 64 * 1024 * 1024;
    std::binary_semaphore over(0);
    WireOrigin origin(
        [&](WirePeer& peer) {
            const auto head = peer.read_until("\r\n\r\n");
            if (head.empty()) return;
            peer.send(switching(head));
            over.try_acquire_for(6 * kLong);  // and reads nothing
        },
        http1_server());
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = connected(gateway, origin.port());
    const auto id = open(client, connect_to(origin.port()));
    CHECK(field(next_fields(client, id), ":status") == "200");
    CHECK(client.send_while_taken(id, kTotal, 300) < kTotal / 4);
    CHECK(client.answers_ping());
    over.release();
}

TEST_CASE("websocket: an origin that would rather speak HTTP/2 is asked over HTTP/1.1 all the same") {
    WireOrigin origin(
        [](WirePeer& peer) {
            const unsigned char* agreed = nullptr;
            unsigned size = 0;
            SSL_get0_alpn_selected(peer.ssl(), &agreed, &size);
            CHECK(size == 0);
            const auto head = peer.read_until("\r\n\r\n");
            CHECK(head.starts_with("GET /chat HTTP/1.1\r\n"));
            peer.send(switching(head) + "x");
        },
        testing::make_server(GatewayFixture::origin_ca().good(kName), "h2"));
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.tls_client(kName, origin.port(), "http/1.1");
    client.send(handshake_of_http1(origin.port()));
    CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
    CHECK(client.read_to_end() == "x");
}

TEST_CASE("websocket: what breaks the client's TLS ends the tunnel at once") {
    std::binary_semaphore closed(0);
    WireOrigin origin(
        [&](WirePeer& peer) {
            const auto head = peer.read_until("\r\n\r\n");
            peer.send(switching(head));
            CHECK(peer.closed());
            closed.release();
        },
        http1_server());
    GatewayFixture gateway(policy_for(origin.port()));
    auto client = gateway.tls_client(kName, origin.port(), "http/1.1");
    client.send(handshake_of_http1(origin.port()));
    client.read_until("\r\n\r\n");
    const std::string nonsense(64, 'x');
    REQUIRE(::send(client.fd(), nonsense.data(), nonsense.size(), MSG_NOSIGNAL) == 64);
    CHECK(closed.try_acquire_for(kLong));
    const auto events = gateway.finish();
    REQUIRE(events.size() == 1);
    CHECK(std::string(events[0]["reason"]).starts_with("allowed, ended: TLS"));
}

TEST_CASE("websocket: secrets are put into the handshake, on either version, and never into what is relayed") {
    ::setenv("SALLYPORT_TEST_KEY", "the-real-key", 1);
    WireOrigin origin(
        [](WirePeer& peer) {
            const auto head = peer.read_until("\r\n\r\n");
            if (head.empty()) return;
            CHECK(value(head, "x-api-key") == "the-real-key");
            CHECK(head.find("placeholder-1") == std::string::npos);
            peer.send(switching(head));
            peer.send(peer.read_exactly(13));
        },
        http1_server());
    const std::string secret =
        "[[secret]]\nname = \"k\"\nhost = \"origin.test\"\nheader = \"x-api-key\"\n"
        "value = { env = \"SALLYPORT_TEST_KEY\" }\nplaceholder = \"placeholder-1\"\n";
    GatewayFixture gateway(policy_for(origin.port(), secret));
    auto http2 = connected(gateway, origin.port());
    const auto id = open(http2, connect_to(origin.port(), {{"x-api-key", "placeholder-1"}}));
    http2.send_data(id, "placeholder-1", false);
    CHECK(http2.wait_for([&] { return http2.stream(id).ended || http2.stream(id).reset; }));
    CHECK(http2.stream(id).body == "placeholder-1");

    auto http1 = gateway.tls_client(kName, origin.port(), "http/1.1");
    http1.send(handshake_of_http1(origin.port()) + "placeholder-1");
    CHECK(http1.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
    CHECK(http1.read_to_end() == "placeholder-1");
    for (const auto& event : gateway.finish()) CHECK(event["secrets"] == nlohmann::json::array({"k"}));
}
