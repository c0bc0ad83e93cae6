// The table of situations, run for every pair of HTTP versions: what a message is made of arrives as it was sent.

#include <fmt/format.h>

#include "tests/support/protocol_pair.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

/// What belongs to one connection and must not cross the gateway.
void check_no_connection_fields(const MessageHead& head) {
    for (const char* name : {"connection", "keep-alive", "proxy-connection", "upgrade", "http2-settings"})
        CHECK_FALSE(head.has(name));
}

/// Answers the next request and lets the client see that.
void check_still_in_step(ProtocolPair& pair) {
    const auto client = pair.client();
    client->send_head(request("GET", "/next"), true);
    const auto origin = pair.origin();
    CHECK(origin->read_head().path == "/next");
    origin->send_head(response(200, {{"content-length", "4"}}), false);
    origin->send_body("next");
    origin->send_end();
    CHECK(client->read_head().status == 200);
    CHECK(client->read_rest().body == "next");
}

}  // namespace

SITUATION("a GET and its answer") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("GET", "/a/b?c=d", {{"x-one", "1"}, {"accept", "*/*"}, {"user-agent", "a test"}}), true);
    const auto origin = pair.origin();
    const auto asked = origin->read_head();
    CHECK(asked.method == "GET");
    CHECK(asked.path == "/a/b?c=d");
    CHECK(asked.field("host") == pair.authority());
    CHECK(asked.field("x-one") == "1");
    CHECK(asked.field("user-agent") == "a test");
    check_no_connection_fields(asked);
    const auto nothing = origin->read_rest();
    CHECK(nothing.whole);
    CHECK(nothing.body.empty());
    origin->send_head(response(200, {{"content-type", "text/plain"}, {"content-length", "5"}}), false);
    origin->send_body("hello");
    origin->send_end();
    const auto answer = client->read_head();
    CHECK(answer.status == 200);
    CHECK(answer.field("content-type") == "text/plain");
    CHECK(answer.field("content-length") == "5");
    check_no_connection_fields(answer);
    const auto rest = client->read_rest();
    CHECK(rest.whole);
    CHECK(rest.body == "hello");
    CHECK(rest.trailers.empty());
    check_still_in_step(pair);
    CHECK(pair.origins().connections() == 1);
}

SITUATION("an answer of unknown length") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    origin->send_head(response(200), false);
    CHECK(client->read_head().status == 200);  // before any of the body
    for (const char* piece : {"one ", "two ", "three"}) {
        origin->send_body(piece);
        CHECK(client->read_body(std::string_view(piece).size()) == piece);
    }
    origin->send_end();
    CHECK(client->read_rest().whole);
    check_still_in_step(pair);
}

SITUATION("answers without a body: HEAD, 204, 304") {
    ProtocolPair pair(versions);
    const auto exchange = [&](const char* method, const MessageHead& answer) {
        const auto client = pair.client();
        client->send_head(request(method, "/"), true);
        const auto origin = pair.origin();
        CHECK(origin->read_head().method == method);
        origin->send_head(answer, true);
        auto got = client->read_head();
        const auto rest = client->read_rest();
        CHECK(rest.whole);
        CHECK(rest.body.empty());
        return got;
    };
    const auto head = exchange("HEAD", response(200, {{"content-length", "1000"}, {"etag", "\"e\""}}));
    CHECK(head.status == 200);
    CHECK(head.field("content-length") == "1000");
    const auto empty = exchange("GET", response(204, {{"x-why", "nothing"}}));
    CHECK(empty.status == 204);
    CHECK(empty.field("x-why") == "nothing");
    CHECK_FALSE(empty.has("content-length"));
    CHECK_FALSE(empty.has("transfer-encoding"));
    const auto unchanged = exchange("GET", response(304, {{"etag", "\"e\""}, {"content-length", "7"}}));
    CHECK(unchanged.status == 304);
    CHECK(unchanged.field("etag") == "\"e\"");
    check_still_in_step(pair);
    CHECK(pair.origins().connections() == 1);
}

SITUATION("a body with Content-Length") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("POST", "/", {{"content-length", "10"}, {"content-type", "text/plain"}}), false);
    const auto origin = pair.origin();  // before any of the body
    const auto asked = origin->read_head();
    CHECK(asked.field("content-length") == "10");
    CHECK_FALSE(asked.has("transfer-encoding"));
    client->send_body("01234");
    CHECK(origin->read_body(5) == "01234");
    client->send_body("56789");
    client->send_end();
    const auto rest = origin->read_rest();
    CHECK(rest.body == "56789");
    CHECK(rest.whole);
    origin->send_head(response(201, {{"location", "/10"}}), true);
    const auto answer = client->read_head();
    CHECK(answer.status == 201);
    CHECK(answer.field("location") == "/10");
    CHECK(client->read_rest().whole);
    check_still_in_step(pair);
}

SITUATION("a body of unknown length") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("PUT", "/"), false);
    const auto origin = pair.origin();
    const auto asked = origin->read_head();
    CHECK_FALSE(asked.has("content-length"));
    CHECK(asked.field("transfer-encoding") == (versions.origin == Version::http1 ? "chunked" : ""));
    for (const char* piece : {"one ", "two ", "three"}) {
        client->send_body(piece);
        CHECK(origin->read_body(std::string_view(piece).size()) == piece);
    }
    client->send_end();
    CHECK(origin->read_rest().whole);
    origin->send_head(response(200), true);
    CHECK(client->read_head().status == 200);
    CHECK(client->read_rest().whole);
    check_still_in_step(pair);
}

SITUATION("an empty body is one that ends, whether it was announced or not") {
    ProtocolPair pair(versions);
    for (const bool announced : {true, false}) {
        const auto client = pair.client();
        client->send_head(request("POST", "/", announced ? Fields{{"content-length", "0"}} : Fields{}), announced);
        if (!announced) client->send_end();
        const auto origin = pair.origin();
        if (announced) CHECK(origin->read_head().field("content-length") == "0");
        else origin->read_head();
        const auto rest = origin->read_rest();
        CHECK(rest.whole);
        CHECK(rest.body.empty());
        origin->send_head(response(200, {{"content-length", "0"}}), true);
        CHECK(client->read_head().status == 200);
        CHECK(client->read_rest().whole);
    }
    check_still_in_step(pair);
}

SITUATION("an answer that is over with its head, announced or not") {
    ProtocolPair pair(versions);
    for (const bool announced : {true, false}) {
        const auto client = pair.client();
        client->send_head(request("GET", "/"), true);
        const auto origin = pair.origin();
        origin->read_head();
        origin->send_head(response(200, announced ? Fields{{"content-length", "0"}} : Fields{}), true);
        CHECK(client->read_head().status == 200);
        const auto rest = client->read_rest();
        CHECK(rest.whole);
        CHECK(rest.body.empty());
    }
    check_still_in_step(pair);
}

SITUATION("trailers of the request") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("POST", "/", {{"trailer", "x-checksum, x-count"}}), false);
    client->send_body("body");
    client->send_end({{"x-checksum", "abc"}, {"x-count", "4"}, {"authorization", "smuggled"}});
    const auto origin = pair.origin();
    CHECK_FALSE(origin->read_head().has("x-checksum"));
    const auto rest = origin->read_rest();
    CHECK(rest.whole);
    CHECK(rest.body == "body");
    CHECK(rest.trailers == Fields{{"x-checksum", "abc"}, {"x-count", "4"}});  // not what was never judged
    origin->send_head(response(200), true);
    CHECK(client->read_head().status == 200);
    check_still_in_step(pair);
}

SITUATION("trailers of the answer, asked for with TE") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("GET", "/", {{"te", "trailers"}}), true);
    const auto origin = pair.origin();
    CHECK(origin->read_head().field("te") == "trailers");
    origin->send_head(response(200), false);
    origin->send_body("body");
    origin->send_end({{"grpc-status", "0"}, {"grpc-message", ""}});
    CHECK(client->read_head().status == 200);
    const auto rest = client->read_rest();
    CHECK(rest.whole);
    CHECK(rest.body == "body");
    CHECK(rest.trailers == Fields{{"grpc-status", "0"}, {"grpc-message", ""}});
    check_still_in_step(pair);
}

SITUATION("several Set-Cookie stay several, in their order") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    origin->send_head(
        response(200, {{"set-cookie", "a=1; Path=/, x"}, {"x", "y"}, {"set-cookie", "b=2"}, {"set-cookie", "a=3"}}),
        true);
    CHECK(client->read_head().field("set-cookie") == "a=1; Path=/, x | b=2 | a=3");
}

SITUATION("cookies in crumbs and in one piece are the same cookies") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    const bool crumbs = versions.client == Version::http2;  // RFC 9113, section 8.2.3
    client->send_head(request("GET", "/",
                              crumbs ? Fields{{"cookie", "a=1"}, {"x", "y"}, {"cookie", "b=2"}, {"cookie", "c=3"}}
                                     : Fields{{"cookie", "a=1; b=2; c=3"}}),
                      true);
    const auto asked = pair.origin()->read_head();
    std::string cookies;
    for (const auto& [name, value] : asked.fields)
        if (name == "cookie") cookies += (cookies.empty() ? "" : "; ") + value;
    CHECK(cookies == "a=1; b=2; c=3");
    if (versions.origin == Version::http1) CHECK(asked.field("cookie") == cookies);
}

SITUATION("64 KB of fields, both ways") {
    ProtocolPair pair(versions);
    Fields many;
    for (int i = 0; i < 64; ++i)
        many.emplace_back(fmt::format("x-field-{}", i), std::string(1000, static_cast<char>('a' + i % 26)));
    many.emplace_back("x-long", std::string(16'000, 'l'));  // more than one frame can carry
    const auto client = pair.client();
    client->send_head(request("GET", "/", many), true);
    const auto origin = pair.origin();
    const auto asked = origin->read_head();
    const auto same = [&](const MessageHead& head) {
        for (const auto& [name, value] : many)
            if (head.field(name) != value) return false;
        return true;
    };
    CHECK(same(asked));
    origin->send_head(response(200, many), true);
    const auto answer = client->read_head();
    CHECK(answer.status == 200);
    CHECK(same(answer));
    check_still_in_step(pair);
}
