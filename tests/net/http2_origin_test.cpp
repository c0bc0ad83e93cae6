// Origins that speak HTTP/2: connections shared, given up, refused; and answers that are none.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tests/support/protocol_pair.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

using Ends = std::vector<MessageEndPtr>;

void answer(MessageEnd& origin, const std::string& body) {
    origin.send_head(response(200), false);
    origin.send_body(body);
    origin.send_end();
}

std::string read_answer(MessageEnd& client) {
    CHECK(client.read_head().status == 200);
    const auto rest = client.read_rest();
    CHECK(rest.whole);
    return rest.body;
}

MessageEndPtr get(ProtocolPair& pair, const std::string& path) {
    auto client = pair.client();
    client->send_head(request("GET", path), true);
    return client;
}

/// A client of HTTP/2 can send it again itself, as it is told the same.
void check_not_acted_on(MessageEnd& client, Versions versions) {
    if (versions.client == Version::http1) CHECK(client.read_head().status == 502);
    else CHECK(client.read_rest().reason == NGHTTP2_REFUSED_STREAM);
}

/// One exchange, so that the connections are there and their settings known.
void warm_up(ProtocolPair& pair) {
    const auto client = get(pair, "/first");
    const auto origin = pair.origin();
    origin->read_head();
    answer(*origin, "first");
    CHECK(read_answer(*client) == "first");
}

}  // namespace

TEST_CASE("twenty streams of a client share one connection to the origin, each answered for itself") {
    ProtocolPair pair(kHttp2ToHttp2);
    Ends clients, origins;
    std::vector<std::string> paths;
    for (int i = 0; i < 20; ++i) clients.push_back(get(pair, fmt::format("/{}", i)));
    for (int i = 0; i < 20; ++i) {
        origins.push_back(pair.origin());  // all before any is answered
        paths.push_back(origins.back()->read_head().path);
    }
    CHECK(pair.origins().connections() == 1);
    for (std::size_t i = 20; i-- > 0;) answer(*origins[i], paths[i]);
    for (int i = 0; i < 20; ++i) CHECK(read_answer(*clients[static_cast<std::size_t>(i)]) == fmt::format("/{}", i));
}

TEST_CASE("twenty streams of a client to an origin of HTTP/1.1 are twenty connections, kept for the next ones") {
    ProtocolPair pair(kHttp2ToHttp1);
    for (int round = 0; round < 2; ++round) {
        Ends clients, origins;
        for (int i = 0; i < 20; ++i) clients.push_back(get(pair, fmt::format("/{}", i)));
        std::set<std::string> paths;
        for (int i = 0; i < 20; ++i) {
            origins.push_back(pair.origin());
            const auto path = origins.back()->read_head().path;
            paths.insert(path);
            answer(*origins.back(), path);
        }
        CHECK(paths.size() == 20);
        for (int i = 0; i < 20; ++i) CHECK(read_answer(*clients[static_cast<std::size_t>(i)]) == fmt::format("/{}", i));
    }
    CHECK(pair.origins().connections() <= 20);
}

TEST_CASE("clients of HTTP/1.1 share the connection to an origin of HTTP/2") {
    ProtocolPair pair(kHttp1ToHttp2);
    const auto first = get(pair, "/one");
    const auto one = pair.origin();
    CHECK(one->read_head().path == "/one");
    const auto wire =
        std::make_shared<WirePeer>(pair.gateway().tls_client(pair.kName, pair.origins().port(), "http/1.1"));
    const auto second = http1_end(wire, pair.authority());
    second->send_head(request("GET", "/two"), true);
    const auto two = pair.origin();
    CHECK(two->read_head().path == "/two");
    answer(*two, "2");
    CHECK(read_answer(*second) == "2");
    answer(*one, "1");
    CHECK(read_answer(*first) == "1");
    CHECK(pair.origins().connections() == 1);
}

TEST_CASE("what is sent to an origin of HTTP/2 is as HTTP/2 has it, and no push is wanted") {
    ProtocolPair pair(kHttp1ToHttp2);
    const auto client = pair.client();
    client->send_head(request("GET", "/", {{"connection", "x-hop"}, {"x-hop", "1"}, {"X-Upper", "A"}}), true);
    const auto origin = pair.origin();
    auto& peer = pair.origins().http2();
    const auto block = peer.stream(1).blocks.front();
    const auto is_pseudo = [](const Field& field) { return field.first.starts_with(':'); };
    CHECK(std::is_partitioned(block.begin(), block.end(), is_pseudo));
    CHECK(std::count_if(block.begin(), block.end(), is_pseudo) == 4);
    for (const auto& [name, value] : block) {
        CHECK(std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; }));
        CHECK(name != "host");
        CHECK(name != "x-hop");
        if (name == ":scheme") CHECK(value == "https");
        if (name == ":authority") CHECK(value == pair.authority());
    }
    CHECK(origin->read_head().field("x-upper") == "A");
    REQUIRE(peer.settings().contains(NGHTTP2_SETTINGS_ENABLE_PUSH));
    CHECK(peer.settings().at(NGHTTP2_SETTINGS_ENABLE_PUSH) == 0);
}

TEST_CASE("a request that GOAWAY left unprocessed is sent again on a new connection") {
    for (const auto versions : {kHttp1ToHttp2, kHttp2ToHttp2}) {
        ProtocolPair pair(versions);
        const auto client = get(pair, "/again");
        pair.origin();
        pair.origins().http2().go_away(0, NGHTTP2_NO_ERROR);
        const auto origin = pair.origin();
        CHECK(origin->read_head().path == "/again");
        CHECK(pair.origins().connections() == 2);
        answer(*origin, "there");
        CHECK(read_answer(*client) == "there");
    }
}

TEST_CASE("a request that was refused with REFUSED_STREAM is sent again, but not for ever") {
    for (const auto versions : {kHttp1ToHttp2, kHttp2ToHttp2}) {
        ProtocolPair pair(versions);
        const auto client = get(pair, "/again");
        pair.origin()->cut(NGHTTP2_REFUSED_STREAM);
        const auto origin = pair.origin();
        CHECK(origin->read_head().path == "/again");
        answer(*origin, "there");
        CHECK(read_answer(*client) == "there");

        const auto unlucky = get(pair, "/never");
        int tries = 0;
        for (; tries < 10; ++tries) {
            const auto next = pair.origins().request_within(500);
            if (!next) break;
            next->cut(NGHTTP2_REFUSED_STREAM);
        }
        CHECK(tries >= 1);
        CHECK(tries < 10);
        check_not_acted_on(*unlucky, versions);
    }
}

TEST_CASE("a request whose body has gone is not sent again") {
    for (const auto versions : {kHttp1ToHttp2, kHttp2ToHttp2})
        for (const bool goaway : {true, false}) {
            ProtocolPair pair(versions);
            const auto client = pair.client();
            client->send_head(request("POST", "/", {{"content-length", "4"}}), false);
            client->send_body("body");
            client->send_end();
            const auto origin = pair.origin();
            origin->read_head();
            CHECK(origin->read_rest().body == "body");
            if (goaway) pair.origins().http2().go_away(0, NGHTTP2_NO_ERROR);
            else origin->cut(NGHTTP2_REFUSED_STREAM);
            check_not_acted_on(*client, versions);
            CHECK(pair.origins().nothing_for(100));
        }
}

TEST_CASE("an origin that says goodbye ends what runs in peace, and gets nothing new") {
    ProtocolPair pair(kHttp2ToHttp2);
    const auto first = get(pair, "/runs");
    const auto runs = pair.origin();
    runs->read_head();
    runs->send_head(response(200), false);
    CHECK(first->read_head().status == 200);
    pair.origins().http2().go_away(1, NGHTTP2_NO_ERROR);
    REQUIRE(pair.origins().http2().answers_ping());  // it was read
    const auto second = get(pair, "/new");
    const auto fresh = pair.origin();
    CHECK(fresh->read_head().path == "/new");
    CHECK(pair.origins().connections() == 2);
    answer(*fresh, "new");
    CHECK(read_answer(*second) == "new");
    runs->send_body("to the end");
    runs->send_end();
    CHECK(first->read_rest().body == "to the end");
}

TEST_CASE("an origin that allows one stream at a time gets one at a time on each connection") {
    ProtocolPair pair(kHttp2ToHttp2);
    pair.origins().settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}};
    warm_up(pair);
    const auto first = get(pair, "/one");
    const auto one = pair.origin();
    CHECK(one->read_head().path == "/one");
    const auto& connection = pair.origins().http2();
    const auto second = get(pair, "/two");
    const auto two = pair.origin();
    CHECK(two->read_head().path == "/two");
    CHECK(&pair.origins().http2() != &connection);
    answer(*two, "2");
    answer(*one, "1");
    CHECK(read_answer(*first) == "1");
    CHECK(read_answer(*second) == "2");
    CHECK(pair.origins().connections() == 2);
}

TEST_CASE("an origin whose answer is malformed is a 502, and one that ends malformed is a cut") {
    ProtocolPair pair(kHttp2ToHttp2);
    const Fields heads[] = {
        {{"content-type", "text/plain"}},
        {{":status", "abc"}},
        {{":status", "20"}},
        {{":status", "101"}},
        {{":status", "200"}, {":status", "200"}},
        {{":status", "200"}, {":path", "/"}},
        {{":status", "200"}, {"Upper", "case"}},
        {{":status", "200"}, {"connection", "close"}},
        {{":status", "200"}, {"transfer-encoding", "chunked"}},
        {{":status", "200"}, {"content-length", "1"}, {"content-length", "2"}},
        {{":status", "200"}, {"content-length", "0"}, {"content-length", "0"}},
        {{":status", "200"}, {"content-length", ""}},
        {{":status", "204"}, {"content-length", "1"}},
        {{":status", "200"}, {"x", "y\r\nset-cookie: smuggled=1"}},
        {{"x", "y"}, {":status", "200"}},
    };
    for (const auto& head : heads) {
        const auto client = get(pair, "/");
        const auto origin = pair.origin();
        auto& peer = pair.origins().http2();
        CAPTURE(head.back().first);
        peer.send_fields(peer.last_request(), head, true);
        CHECK(client->read_head().status == 502);
        CHECK(client->read_rest().body.find("smuggled") == std::string::npos);
    }
}

TEST_CASE("a push that nobody wanted is an error of the connection, and reaches no client") {
    ProtocolPair pair(kHttp2ToHttp2);
    const auto client = get(pair, "/");
    const auto origin = pair.origin();
    auto& peer = pair.origins().http2();
    const Fields promised{{":method", "GET"}, {":scheme", "https"}, {":authority", "evil.test"}, {":path", "/pushed"}};
    peer.send({NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, big_endian(2) + peer.encode(promised)});
    peer.send_fields(2, {{":status", "200"}}, true);
    CHECK(client->read_head().status == 502);
    CHECK(peer.wait_for([&] { return peer.goaway_code().has_value(); }));
    CHECK(peer.goaway_code() == NGHTTP2_PROTOCOL_ERROR);
}
