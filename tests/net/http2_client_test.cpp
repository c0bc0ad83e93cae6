// Clients that speak HTTP/2: streams beside each other, connections without TLS, and clients that mean harm.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>

#include "tests/support/http2_reactions.hpp"
#include "tests/support/protocol_pair.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr std::size_t kBody = 64 * 1024 * 1024;

void answer(MessageEnd& origin, const std::string& body) {
    origin.send_head(response(200), false);
    origin.send_body(body);
    origin.send_end();
}

/// On a connection of its own, so that a client's own credit is not what is tried.
void check_served(ProtocolPair& pair, MessageEnd& client) {
    client.send_head(request("GET", "/served"), true);
    const auto origin = pair.origin();
    CHECK(origin->read_head().path == "/served");
    answer(*origin, "served");
    CHECK(client.read_head().status == 200);
    CHECK(client.read_rest().body == "served");
}

}  // namespace

TEST_CASE("downloads that their client does not read hold up no other stream") {
    for (const auto versions : {kHttp2ToHttp1, kHttp2ToHttp2}) {
        ProtocolPair pair(versions);
        auto& client = pair.http2_client();
        client.keep_credit(true);
        client.send({NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(10'000'000)});  // the streams' own is what runs out
        std::vector<MessageEndPtr> ends;
        for (int i = 0; i < 10; ++i) {
            ends.push_back(pair.client());
            ends.back()->send_head(request("GET", "/stalled"), true);
            ends.push_back(pair.origin());
            ends.back()->read_head();
            ends.back()->send_head(response(200), false);
            CHECK(ends.back()->send_while_taken(kBody, 100) > 65'535);
        }
        const auto other = pair.client();
        check_served(pair, *other);
    }
}

TEST_CASE("uploads that their origin does not read hold up no other stream") {
    for (const auto versions : {kHttp2ToHttp1, kHttp2ToHttp2}) {
        ProtocolPair pair(versions);
        std::vector<MessageEndPtr> ends;
        for (int i = 0; i < 10; ++i) {
            ends.push_back(pair.client());
            ends.back()->send_head(request("POST", "/stalled"), false);
            ends.push_back(pair.origin());
            if (versions.origin == Version::http2) {
                pair.origins().http2().keep_credit(true);
                if (i == 0) pair.origins().http2().send({NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(10'000'000)});
            }
            ends[ends.size() - 2]->send_while_taken(kBody, 100);
        }
        const auto other = pair.client();
        other->send_head(request("POST", "/other"), false);
        const auto origin = pair.origin();
        CHECK(origin->read_head().path == "/other");
        other->send_body("a body");
        other->send_end();
        CHECK(origin->read_rest().body == "a body");
        answer(*origin, "ok");
        CHECK(other->read_head().status == 200);
    }
}

TEST_CASE("a client that stalls holds up no other client of the same origin") {
    ProtocolPair pair(kHttp2ToHttp2);
    pair.http2_client().keep_credit(true);
    std::vector<MessageEndPtr> ends;
    for (int i = 0; i < 10; ++i) {
        ends.push_back(pair.client());
        ends.back()->send_head(request("GET", "/stalled"), true);
        ends.push_back(pair.origin());
        ends.back()->read_head();
        ends.back()->send_head(response(200), false);
        ends.back()->send_while_taken(kBody, 100);
    }
    const auto peer = std::make_shared<Http2Peer>(pair.gateway().tls_client(pair.kName, pair.origins().port(), "h2"),
                                                  Http2Peer::Role::client);
    peer->start();
    const auto other = http2_end(peer, peer->new_stream(), pair.authority());
    check_served(pair, *other);
}

TEST_CASE("without TLS, by prior knowledge: HTTP/2 to the origin too") {
    std::string seen;
    WireOrigin origin([&](WirePeer& wire) {
        const auto peer = std::make_shared<Http2Peer>(std::move(wire), Http2Peer::Role::origin);
        peer->start();
        peer->wait_for([&] { return peer->take_request().has_value(); });
        seen = peer->stream(1).blocks.front().front().second;
        const auto end = http2_end(peer, 1);
        answer(*end, end->read_head().field("host"));
    });
    GatewayFixture gateway(
        fmt::format("[[allow]]\nhost = \"origin.test\"\nport = {}\nprivate = true\n"
                    "[[deny]]\nhost = \"origin.test\"\npath = \"/denied\"\n",
                    origin.port()));
    auto wire = gateway.client("origin.test", origin.port());
    const auto peer = std::make_shared<Http2Peer>(std::move(wire), Http2Peer::Role::client);
    peer->start();
    const auto authority = fmt::format("origin.test:{}", origin.port());
    const auto ask = [&](const char* path, const char* scheme, const std::string& whom) {
        const auto stream = peer->new_stream();
        peer->send_fields(stream, {{":method", "GET"}, {":scheme", scheme}, {":authority", whom}, {":path", path}},
                          true);
        return http2_end(peer, stream, authority);
    };
    CHECK(ask("/denied", "http", authority)->read_head().status == 403);
    CHECK(ask("/", "http", "evil.test")->read_head().status == 403);
    for (const char* other : {"https", "ftp"}) CHECK(ask("/", other, authority)->read_head().status == 400);
    CHECK(origin.connections() == 0);
    const auto client = ask("/", "http", authority);
    CHECK(client->read_head().status == 200);
    CHECK(client->read_rest().body == authority);
    CHECK(seen == "GET");
}

TEST_CASE("a connection of HTTP/2 that is idle ends in peace") {
    session::TimeLimits limits;
    limits.keep_alive = std::chrono::seconds(3);
    ProtocolPair pair(kHttp2ToHttp2, "", limits);
    const auto client = pair.client();
    check_served(pair, *client);
    auto& peer = pair.http2_client();
    peer.wait_for([] { return false; });
    CHECK(peer.goaway_code() == NGHTTP2_NO_ERROR);
}

TEST_CASE("a connection of HTTP/2 that never finishes a head is cut") {
    session::TimeLimits limits;
    limits.head = std::chrono::seconds(1);
    ProtocolPair pair(kHttp2ToHttp2, "", limits);
    auto wire = pair.gateway().tls_client(pair.kName, pair.origins().port(), "h2");
    Http2Peer slow(std::move(wire), Http2Peer::Role::client);
    slow.start();
    slow.next_frame();  // an acknowledgement is not what its head is to be interrupted by
    slow.send({NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, slow.encode({{":method", "GET"}})});
    CHECK_FALSE(slow.wait_for([] { return false; }));  // the connection ends
    CHECK(slow.goaway_code() == NGHTTP2_NO_ERROR);
    CHECK(pair.origins().nothing_for(0));
}

TEST_CASE("streams that are opened and reset by the thousand end the connection or nothing, and harm no other") {
    Http2Server server;
    auto peer = server.start();
    const auto hold = server.get("/hold");
    bool open = true;
    for (int i = 0; i < 5000 && open; ++i) {
        const auto stream = peer.new_stream();
        peer.send_fields(stream, hold, true);
        peer.reset(stream, NGHTTP2_CANCEL);
        if (i % 100 == 0) open = peer.take_frames();
    }
    auto other = server.start();
    other.send_fields(other.new_stream(), server.get(), true);
    CHECK(reaction(other, true) == "200");
}

TEST_CASE("a client that asks for acknowledgements and reads none is cut, or no longer heard") {
    const Frame floods[] = {{NGHTTP2_PING, 0, 0, "12345678"}, {NGHTTP2_SETTINGS, 0, 0, {}}};
    for (const auto& flood : floods) {
        Http2Server server;
        auto peer = server.start();
        std::string many;
        while (many.size() < 4000) many += flood.text();  // what a socket that is writable takes without blocking
        bool held = false;
        // What the gateway does not queue has to stay in the kernel: far less than this.
        for (std::size_t sent = 0; sent < kBody && !held; sent += many.size())
            held = !peer.wire().writable_within(1000) || !peer.wire().send(many);
        CHECK(held);
        auto other = server.start();
        other.send_fields(other.new_stream(), server.get(), true);
        CHECK(reaction(other, true) == "200");
    }
}
