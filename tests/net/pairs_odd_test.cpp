// The table of situations, run for every pair of HTTP versions: messages at the edges of what HTTP has.

#include <fmt/format.h>

#include "tests/support/protocol_pair.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

/// 120 KB of fields: above our 96 KiB, below what a peer would take for an attack.
Fields too_many() {
    Fields fields;
    for (int i = 0; i < 120; ++i) fields.emplace_back(fmt::format("x-field-{}", i), std::string(1000, 'x'));
    return fields;
}

}  // namespace

SITUATION("OPTIONS of the whole server") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("OPTIONS", "*"), true);
    const auto origin = pair.origin();
    const auto asked = origin->read_head();
    CHECK(asked.method == "OPTIONS");
    CHECK(asked.path == "*");
    origin->send_head(response(200, {{"allow", "GET"}}), true);
    CHECK(client->read_head().field("allow") == "GET");
}

SITUATION("a request with too many fields is a 431, and reaches no origin") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("GET", "/", too_many()), true);
    CHECK(client->read_head().status == 431);
    CHECK(client->read_rest().whole);
    CHECK(pair.origins().nothing_for(100));
}

SITUATION("an answer with too many fields is a 502") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    origin->send_head(response(200, too_many()), true);
    CHECK(client->read_head().status == 502);
    CHECK(client->read_rest().whole);
}

SITUATION("a length goes on as the number that it is, not in its digits") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("POST", "/", {{"content-length", "0005"}}), false);
    client->send_body("hello");
    client->send_end();
    const auto origin = pair.origin();
    CHECK(origin->read_head().field("content-length") == "5");
    CHECK(origin->read_rest().body == "hello");
    origin->send_head(response(200, {{"content-length", "002"}}), false);
    origin->send_body("ok");
    origin->send_end();
    CHECK(client->read_head().field("content-length") == "2");
    CHECK(client->read_rest().body == "ok");
}

SITUATION("of TE only trailers goes on, and no encoding of the connection") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    const bool old = versions.client == Version::http1;
    client->send_head(request("GET", "/", {{"te", old ? "gzip, trailers" : "trailers"}, {"accept-encoding", "br"}}),
                      true);
    const auto asked = pair.origin()->read_head();
    CHECK(asked.field("te") == "trailers");
    CHECK(asked.field("accept-encoding") == "br");
}

SITUATION("a compressed body, and a part of it, pass as they are") {
    ProtocolPair pair(versions);
    std::string gzip("\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0", 25);
    const auto client = pair.client();
    client->send_head(request("GET", "/", {{"range", "bytes=0-24"}, {"accept-encoding", "gzip"}}), true);
    const auto origin = pair.origin();
    CHECK(origin->read_head().field("range") == "bytes=0-24");
    origin->send_head(response(206, {{"content-encoding", "gzip"},
                                     {"content-range", "bytes 0-24/100"},
                                     {"content-length", "25"},
                                     {"vary", "accept-encoding"}}),
                      false);
    origin->send_body(gzip);
    origin->send_end();
    const auto answer = client->read_head();
    CHECK(answer.status == 206);
    CHECK(answer.field("content-encoding") == "gzip");
    CHECK(answer.field("content-range") == "bytes 0-24/100");
    const bool same = client->read_rest().body == gzip;
    CHECK(same);
}

SITUATION("fields that say the same twice stay two, in their order") {
    ProtocolPair pair(versions);
    const Fields twice{{"x-forwarded-for", "a"}, {"accept", "b"}, {"x-forwarded-for", "c"}, {"x-empty", ""}};
    const auto client = pair.client();
    client->send_head(request("GET", "/", twice), true);
    const auto origin = pair.origin();
    const auto asked = origin->read_head();
    CHECK(asked.field("x-forwarded-for") == "a | c");
    CHECK(asked.has("x-empty"));
    origin->send_head(response(200, {{"www-authenticate", "Basic"}, {"x-empty", ""}, {"www-authenticate", "Bearer"}}),
                      true);
    const auto answer = client->read_head();
    CHECK(answer.field("www-authenticate") == "Basic | Bearer");
    CHECK(answer.has("x-empty"));
}

SITUATION("nothing tells of the gateway: what proxies add and rewrite is as it was sent") {
    ProtocolPair pair(versions);
    const Fields said{{"via", "1.0 before"},
                      {"forwarded", "for=192.0.2.1"},
                      {"x-forwarded-for", "192.0.2.1"},
                      {"x-forwarded-proto", "gopher"}};
    const Fields answered{{"via", "1.0 behind"},
                          {"location", "http://origin.test:1/elsewhere"},
                          {"server", "x"},
                          {"content-length", "0"}};
    const auto client = pair.client();
    client->send_head(request("GET", "/", said), true);
    const auto origin = pair.origin();
    auto asked = origin->read_head();
    std::erase_if(asked.fields, [](const Field& field) { return field.first == "host"; });
    CHECK(asked.fields == said);
    origin->send_head(response(302, answered), true);
    CHECK(client->read_head().fields == answered);
}

SITUATION("a body of one byte, and after it one of a byte more than a window") {
    ProtocolPair pair(versions);
    for (const std::size_t size : {1, 65'536}) {
        const std::string body(size, 'b');
        const auto client = pair.client();
        client->send_head(request("POST", "/", {{"content-length", std::to_string(size)}}), false);
        const auto origin = pair.origin();
        origin->read_head();
        client->send_body(body);
        client->send_end();
        const auto rest = origin->read_rest();
        CHECK(rest.whole);
        const bool same = rest.body == body;
        CHECK(same);
        origin->send_head(response(200), true);
        CHECK(client->read_head().status == 200);
        CHECK(client->read_rest().whole);
    }
    CHECK(pair.origins().connections() == 1);
}

TEST_CASE("Connection: close ends the connection that it was said on, and no other") {
    for (const auto versions : {kHttp1ToHttp1, kHttp1ToHttp2}) {
        ProtocolPair pair(versions);
        const auto connection_of_answer = [&](const Fields& asks, const Fields& answers) {
            const auto client = pair.client();
            client->send_head(request("GET", "/", asks), true);
            const auto origin = pair.origin();
            CHECK_FALSE(origin->read_head().has("connection"));
            origin->send_head(response(200, answers), true);
            const auto answer = client->read_head();
            CHECK(client->read_rest().whole);
            return answer.field("connection");
        };
        CHECK(connection_of_answer({{"connection", "close"}}, {}) == "close");
        CHECK(pair.http1_client().closed());
        pair.leave();
        CHECK(connection_of_answer({}, {}) == "");
        CHECK(pair.origins().connections() == 1);
        if (versions.origin == Version::http2) continue;
        CHECK(connection_of_answer({}, {{"connection", "close"}}) == "");
        CHECK(connection_of_answer({}, {}) == "");  // the client has the same one still
        CHECK(pair.origins().connections() == 2);
    }
}

TEST_CASE("a client of HTTP/1.0 that names no host asks for that of its connection") {
    for (const auto versions : {kHttp1ToHttp1, kHttp1ToHttp2}) {
        ProtocolPair pair(versions);
        pair.http1_client().send("GET / HTTP/1.0\r\n\r\n");
        const auto origin = pair.origin();
        CHECK(origin->read_head().field("host") == pair.authority());
        origin->send_head(response(200, {{"content-length", "2"}}), false);
        origin->send_body("ok");
        origin->send_end();
        CHECK(pair.http1_client().read_to_end().ends_with("\r\n\r\nok"));
    }
}

TEST_CASE("what a 204 of HTTP/1.1 says of a body is not passed on, and nothing behind it is the next answer") {
    for (const auto versions : {kHttp1ToHttp1, kHttp2ToHttp1})
        for (const char* behind : {"Content-Length: 0\r\n\r\n", "Content-Length: 1\r\n\r\nx",
                                   "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}) {
            ProtocolPair pair(versions);
            const auto client = pair.client();
            client->send_head(request("GET", "/"), true);
            pair.origin()->read_head();
            pair.origins().http1().send(std::string("HTTP/1.1 204 No Content\r\n") + behind);
            const auto answer = client->read_head();
            CHECK(answer.status == 204);
            CHECK_FALSE(answer.has("content-length"));
            CHECK_FALSE(answer.has("transfer-encoding"));
            CHECK(client->read_rest().whole);
            const auto next = pair.client();
            next->send_head(request("GET", "/next"), true);
            const auto origin = pair.origin();
            CHECK(origin->read_head().path == "/next");
            origin->send_head(response(200), true);
            CHECK(next->read_head().status == 200);
        }
}

TEST_CASE("a client of HTTP/1.0 and an origin of HTTP/2: a body without length ends with the connection") {
    ProtocolPair pair(kHttp1ToHttp2);
    auto& client = pair.http1_client();
    client.send(fmt::format("GET / HTTP/1.0\r\nHost: {}\r\n\r\n", pair.authority()));
    const auto origin = pair.origin();
    origin->read_head();
    origin->send_head(response(103, {{"link", "</a>"}}), false);  // nothing that HTTP/1.0 knows
    origin->send_head(response(200), false);
    origin->send_body("all ");
    origin->send_body("of it");
    origin->send_end({{"x-trailer", "lost"}});
    const auto whole = client.read_to_end();
    CHECK(whole.starts_with("HTTP/1.1 200 "));
    CHECK(whole.ends_with("\r\n\r\nall of it"));
    CHECK(whole.find("chunked") == std::string::npos);
    CHECK(whole.find("103") == std::string::npos);
}

TEST_CASE("a client of HTTP/2 never takes an origin's closed connection for the end of a body that was chunked") {
    ProtocolPair pair(kHttp2ToHttp1);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    origin->send_head(response(200), false);
    origin->send_body("a chunk");
    CHECK(client->read_head().status == 200);
    CHECK(client->read_body(7) == "a chunk");
    origin->cut();
    const auto rest = client->read_rest();
    CHECK_FALSE(rest.whole);
    CHECK(rest.reason == NGHTTP2_INTERNAL_ERROR);
}

TEST_CASE("an origin of HTTP/1.1 whose answer is ambiguous is a 502, for clients of either version") {
    for (const auto versions : {kHttp1ToHttp1, kHttp2ToHttp1})
        for (const char* answer :
             {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
              "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: unknown\r\n\r\n0\r\n\r\n",
              "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 101 Switching\r\n\r\n",
              "HTTP/1.1 200 OK\r\nx y: z\r\n\r\n", "220 mail.example ESMTP\r\n\r\n"}) {
            ProtocolPair pair(versions);
            const auto client = pair.client();
            client->send_head(request("GET", "/"), true);
            const auto origin = pair.origin();
            origin->read_head();
            pair.origins().http1().send(answer);
            CHECK_MESSAGE(client->read_head().status == 502, std::string(answer));
            CHECK(client->read_rest().whole);
        }
}
