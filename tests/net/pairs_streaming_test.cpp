// The table of situations, run for every pair of HTTP versions: when things happen, and how far one side may be ahead.

#include <fmt/format.h>

#include <fstream>

#include "gateway/http/http2_connection.hpp"
#include "tests/support/protocol_pair.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

/// The most that the kernel holds for one connection, in both of its ends.
std::size_t kernel_buffers() {
    std::size_t total = 0;
    for (const char* file : {"/proc/sys/net/ipv4/tcp_wmem", "/proc/sys/net/ipv4/tcp_rmem"}) {
        std::ifstream in(file);
        std::size_t least = 0, usual = 0, most = 0;
        in >> least >> usual >> most;
        total += most;
    }
    return total;
}

// What a sender can be ahead of a reader that has stopped: what each leg's HTTP/2 window allows, or the kernel's
// buffers where there is no window, and this much in the gateway's own hands: a piece that is read and not written,
// twice.
constexpr std::size_t kInHand = 256 * 1024;
constexpr std::size_t kWindow = 65'535;  // of a peer that has not said otherwise
constexpr std::size_t kBody = 64 * 1024 * 1024;

std::size_t most_ahead(Version from, Version to, const http::Http2Limits& gateway) {
    return kInHand + (from == Version::http2 ? static_cast<std::size_t>(gateway.stream_window) : kernel_buffers()) +
           (to == Version::http2 ? kWindow : kernel_buffers());
}

}  // namespace

SITUATION("both bodies at once, piece by piece") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("POST", "/echo"), false);
    origin->send_head(response(200), false);
    CHECK(client->read_head().status == 200);
    for (int i = 0; i < 100; ++i) {
        const auto piece = std::string(1000, static_cast<char>('a' + i % 26));
        client->send_body(piece);
        REQUIRE(origin->read_body(piece.size()) == piece);
        origin->send_body(piece);
        REQUIRE(client->read_body(piece.size()) == piece);
    }
    client->send_end();
    CHECK(origin->read_rest().whole);
    origin->send_body("end");
    origin->send_end();
    const auto rest = client->read_rest();
    CHECK(rest.body == "end");
    CHECK(rest.whole);
}

SITUATION("Expect: the origin's own 100 comes before the body is sent") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("POST", "/", {{"expect", "100-continue"}, {"content-length", "4"}}), false);
    const auto origin = pair.origin();
    CHECK(origin->read_head().field("expect") == "100-continue");
    CHECK(client->silent_for(200));  // nobody promises for the origin
    origin->send_head(response(100), false);
    CHECK(client->read_head().status == 100);
    client->send_body("body");
    client->send_end();
    const auto rest = origin->read_rest();
    CHECK(rest.body == "body");
    CHECK(rest.whole);
    origin->send_head(response(200), true);
    CHECK(client->read_head().status == 200);
    CHECK(client->read_rest().whole);
}

SITUATION("Expect: a final answer without 100, and no body") {
    ProtocolPair pair(versions);
    const auto [client, origin] =
        pair.exchange(request("POST", "/", {{"expect", "100-continue"}, {"content-length", "4"}}), false);
    origin->send_head(response(413, {{"content-length", "3"}}), false);
    origin->send_body("no!");
    origin->send_end();
    CHECK(client->read_head().status == 413);
    const auto rest = client->read_rest();
    CHECK(rest.body == "no!");
    CHECK(rest.whole);
    CHECK_FALSE(origin->read_rest().whole);  // it never takes the silence for a body
}

SITUATION("103 and more of its kind pass before the answer") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    for (const char* link : {"</a.css>; rel=preload", "</b.js>; rel=preload"}) {
        origin->send_head(response(103, {{"link", link}}), false);
        const auto hints = client->read_head();
        CHECK(hints.status == 103);
        CHECK(hints.field("link") == link);
        CHECK_FALSE(hints.has("content-length"));
    }
    origin->send_head(response(200, {{"content-length", "2"}}), false);
    origin->send_body("ok");
    origin->send_end();
    CHECK(client->read_head().status == 200);
    CHECK(client->read_rest().body == "ok");
}

SITUATION("interim answers without an end are a 502") {
    for (const bool too_many : {false, true}) {
        ProtocolPair pair(versions);
        const auto [client, origin] = pair.exchange(request("GET", "/"), true);
        constexpr int kMost = 16;
        for (int i = 0; i < kMost + too_many; ++i) {
            origin->send_head(response(103), false);
            if (i < kMost) CHECK(client->read_head().status == 103);
        }
        if (!too_many) origin->send_head(response(204), true);
        CHECK(client->read_head().status == (too_many ? 502 : 204));
        CHECK(client->read_rest().whole);
    }
}

SITUATION("an answer that is complete before its request is") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("POST", "/"), false);
    client->send_body("the beginning");
    const auto origin = pair.origin();
    origin->read_head();
    CHECK(origin->read_body(13) == "the beginning");
    origin->send_head(response(403, {{"content-length", "6"}}), false);
    origin->send_body("enough");
    origin->send_end();
    CHECK(client->read_head().status == 403);
    const auto rest = client->read_rest();
    CHECK(rest.body == "enough");
    CHECK(rest.whole);
    const auto asked = origin->read_rest();
    CHECK_FALSE(asked.whole);  // nobody sends the rest
    CHECK(asked.body.empty());
}

SITUATION("a client that stops reading stops its origin") {
    ProtocolPair pair(versions);
    if (versions.client == Version::http2) pair.http2_client().keep_credit(true);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    origin->send_head(response(200), false);
    const auto ahead = origin->send_while_taken(kBody, 300);
    MESSAGE("the origin got ", ahead / 1024, " KiB ahead");
    CHECK(ahead <= most_ahead(versions.origin, versions.client, http::Http2Connection::kTowardsOrigins));
    if (versions.client == Version::http2) {
        pair.http2_client().keep_credit(false);
        pair.http2_client().give_credit(1, kWindow);
    }
    CHECK(client->read_head().status == 200);
    CHECK(client->read_body(ahead).size() == ahead);
    origin->send_body("the end");  // what stopped goes on
    origin->send_end();
    const auto rest = client->read_rest();
    CHECK(rest.body == "the end");
    CHECK(rest.whole);
}

SITUATION("an origin that stops reading stops its client") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("POST", "/"), false);
    const auto origin = pair.origin();
    if (versions.origin == Version::http2) pair.origins().http2().keep_credit(true);
    origin->read_head();
    const auto ahead = client->send_while_taken(kBody, 300);
    MESSAGE("the client got ", ahead / 1024, " KiB ahead");
    CHECK(ahead <= most_ahead(versions.client, versions.origin, http::Http2Connection::kTowardsClients));
    if (versions.origin == Version::http2) {
        pair.origins().http2().keep_credit(false);
        pair.origins().http2().give_credit(1, kWindow);
    }
    CHECK(origin->read_body(ahead).size() == ahead);
    client->send_body("the end");
    client->send_end();
    const auto rest = origin->read_rest();
    CHECK(rest.body == "the end");
    CHECK(rest.whole);
    origin->send_head(response(200), true);
    CHECK(client->read_head().status == 200);
}
