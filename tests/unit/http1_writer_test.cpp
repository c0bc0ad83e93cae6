#include "gateway/http/http1_writer.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace sallyport;
using namespace sallyport::http;
using wire::Framing;

namespace {

wire::ResponseHead response(unsigned status, wire::Fields fields, wire::BodyFraming body = {}) {
    wire::ResponseHead head;
    head.status = status;
    head.reason = "R";
    head.fields = std::move(fields);
    head.body = body;
    return head;
}

std::string appended(Framing framing, std::vector<std::string_view> pieces) {
    std::string out;
    append_body(out, framing, pieces);
    return out;
}

}  // namespace

TEST_CASE("writer: a request is written from the head, framing included") {
    wire::RequestHead head;
    head.method = "POST";
    head.target = "/a?b";
    head.fields = {{"Host", "h"}, {"X", "1"}, {"TE", "trailers"}};
    head.body = {Framing::chunked, 0};
    CHECK(request_text(head) ==
          "POST /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nConnection: "
          "TE\r\n\r\n");
    head.fields = {{"Host", "h"}, {"Content-Length", "3"}};
    head.body = {Framing::length, 3};
    CHECK(request_text(head) == "POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n");
}

TEST_CASE("writer: the switch to another protocol is asked for and announced in fields of our own") {
    wire::RequestHead head;
    head.method = "GET";
    head.target = "/chat";
    head.fields = {{"Host", "h"}, {"Sec-WebSocket-Key", "k"}};
    head.upgrade = "websocket";
    CHECK(request_text(head) ==
          "GET /chat HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: k\r\nConnection: Upgrade\r\n"
          "Upgrade: websocket\r\n\r\n");
    wire::set(head.fields, "TE", "trailers");
    CHECK(request_text(head).ends_with("Connection: Upgrade, TE\r\nUpgrade: websocket\r\n\r\n"));
    auto switched =
        response(101, {{"Upgrade", "WebSocket"}, {"connection", "upgrade, X-Hop"}, {"X-Hop", "1"}, {"X", "1"}});
    CHECK(response_text(switched, {}, 1, true) ==
          "HTTP/1.1 101 R\r\nX: 1\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n");
    auto ordinary = response(426, {{"Upgrade", "websocket"}, {"Connection", "upgrade"}});
    CHECK(response_text(ordinary, {}, 1, false) == "HTTP/1.1 426 R\r\n\r\n");
}

TEST_CASE("writer: a body that ends with the connection is chunked for HTTP/1.1 and stays so for HTTP/1.0") {
    const auto open = response(200, {}, {Framing::until_close, 0});
    CHECK(client_framing(open, 1).kind == Framing::chunked);
    CHECK(client_framing(open, 0).kind == Framing::until_close);
    const auto chunked = response(200, {}, {Framing::chunked, 0});
    CHECK(client_framing(chunked, 1).kind == Framing::chunked);
    CHECK(client_framing(chunked, 0).kind == Framing::until_close);
    CHECK(client_framing(response(200, {}, {Framing::length, 7}), 0).kind == Framing::length);
    CHECK(client_framing(response(204, {}), 1).kind == Framing::none);
}

TEST_CASE("writer: a response's connection fields are ours; no length where there can be no body") {
    auto head = response(200,
                         {{"Connection", "close, X-Hop"},
                          {"X-Hop", "1"},
                          {"Keep-Alive", "5"},
                          {"Content-Length", "2"},
                          {"Transfer-Encoding", "chunked"},
                          {"X", "1"}},
                         {Framing::length, 2});
    CHECK(response_text(head, head.body, 1, false) == "HTTP/1.1 200 R\r\nContent-Length: 2\r\nX: 1\r\n\r\n");
    CHECK(response_text(head, head.body, 1, true).ends_with("Connection: close\r\n\r\n"));
    CHECK(response_text(head, head.body, 0, false).ends_with("Connection: keep-alive\r\n\r\n"));
    for (const unsigned status : {100u, 103u, 204u}) {
        auto bodiless = response(status, {{"Content-Length", "5"}, {"Link", "x"}});
        const auto text = response_text(bodiless, {}, 1, false);
        CHECK(text.find("Content-Length") == std::string::npos);
        CHECK(text.find("Link: x\r\n") != std::string::npos);
    }
    auto interim = response(103, {});
    CHECK(response_text(interim, {}, 1, true).find("Connection") == std::string::npos);  // it announces nothing
}

TEST_CASE("writer: pieces become one chunk, nothing becomes none, and the end carries only harmless trailers") {
    CHECK(appended(Framing::chunked, {"0123456789", "abcdef"}) == "10\r\n0123456789abcdef\r\n");
    CHECK(appended(Framing::chunked, {}) == "");
    CHECK(appended(Framing::chunked, {"", ""}) == "");
    CHECK(appended(Framing::length, {"ab", "c"}) == "abc");
    std::string end;
    append_body_end(end, Framing::chunked,
                    {{"X-Sum", "1"},
                     {"content-length", "9"},
                     {"Host", "evil"},
                     {"authorization", "x"},
                     {"Set-Cookie", "x"},
                     {"X-HTTP-Method-Override", "DELETE"},
                     {"Transfer-Encoding", "chunked"},
                     {"Connection", "close"}});
    CHECK(end == "0\r\nX-Sum: 1\r\n\r\n");
    std::string none;
    append_body_end(none, Framing::length, {{"X-Sum", "1"}});
    append_body_end(none, Framing::until_close, {{"X-Sum", "1"}});
    CHECK(none.empty());
}
