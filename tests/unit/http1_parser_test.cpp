#include "gateway/wire/http1_parser.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace sallyport;
using namespace sallyport::wire;
using namespace std::string_literals;

namespace {

struct Parsed {
    RequestHead head;
    std::string body;
    Fields trailers;
    std::string rest;
    std::string error;  ///< empty when a whole message was parsed
    bool done = false;
};

/// Feeds `text` as it would come in reads of `step` bytes.
Parsed parse(const std::string& text, std::size_t step) {
    Http1Parser<true> parser;
    Parsed out;
    std::string buffer;
    for (std::size_t at = 0; at < text.size() || !buffer.empty();) {
        const auto used = parser.put(buffer);
        if (!used) return out.error = used.error().detail, out;
        for (const auto piece : parser.body()) out.body += piece;
        buffer.erase(0, *used);
        if (parser.done()) break;
        if (*used > 0) continue;
        if (at >= text.size()) break;
        buffer += text.substr(at, step);
        at += step;
        if (at > text.size()) at = text.size();
        if (parser.done()) break;
        out.rest = text.substr(at);
    }
    out.rest = buffer + out.rest;
    out.done = parser.done();
    out.head = parser.head();
    out.trailers = parser.trailers();
    return out;
}

std::string error_of(const std::string& text) {
    const auto whole = parse(text, text.size());
    const auto bytewise = parse(text, 1);
    CHECK_MESSAGE(whole.error.empty() == bytewise.error.empty(), text);
    CHECK_MESSAGE(!(whole.done && !bytewise.done), text);
    return whole.error;
}

}  // namespace

TEST_CASE("a request is the same message however the bytes are split") {
    const std::string text =
        "POST /a?b=c HTTP/1.1\r\nHost: api.example\r\nX-One:  two \r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1\r\n";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        const auto m = parse(text, step);
        REQUIRE(m.error == "");
        REQUIRE(m.done);
        CHECK(m.head.method == "POST");
        CHECK(m.head.target == "/a?b=c");
        CHECK(m.head.fields.size() == 3);
        CHECK(m.head.fields[1].value == "two");
        CHECK(m.head.body.kind == Framing::chunked);
        CHECK(m.body == "hello world");
        REQUIRE(m.trailers.size() == 1);
        CHECK(m.trailers[0].name == "X-Sum");
        CHECK(m.head.fields.size() == 3);  // trailers never become header fields
    }
}

TEST_CASE("a pipelined request stays in the buffer") {
    const std::string first = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok";
    const auto m = parse(first + "GET /second HTTP/1.1\r\n\r\n", 1000);
    CHECK(m.done);
    CHECK(m.body == "ok");
    CHECK(m.rest == "GET /second HTTP/1.1\r\n\r\n");
}

TEST_CASE("refused: every framing that two readers could read differently") {
    const std::string start = "POST / HTTP/1.1\r\nHost: a\r\n";
    CHECK(error_of(start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n") != "");
    CHECK(error_of(start + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n") != "");
    CHECK(error_of(start + "Transfer-Encoding: xchunked\r\n\r\n") != "");
    CHECK(error_of(start + "Transfer-Encoding: gzip, chunked\r\n\r\n") != "");
    CHECK(error_of(start + "Transfer-Encoding: chunked, identity\r\n\r\n") != "");
    CHECK(error_of(start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n") != "");
    CHECK(error_of(start + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n") != "");
    CHECK(error_of(start + "Transfer-Encoding : chunked\r\n\r\n") != "");
    CHECK(error_of(start + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello") != "");
    CHECK(error_of(start + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello") != "");
    CHECK(error_of(start + "Content-Length: 5, 5\r\n\r\nhello") != "");
    CHECK(error_of(start + "Content-Length: +5\r\n\r\nhello") != "");
    CHECK(error_of(start + "Content-Length: 0x5\r\n\r\nhello") != "");
    CHECK(error_of(start + "Content-Length: -1\r\n\r\n") != "");
    CHECK(error_of(start + "Content-Length: 99999999999999999999999\r\n\r\n") != "");
    CHECK(error_of(start + "Host: b\r\n\r\n") != "");
    CHECK(error_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") != "");
}

TEST_CASE("refused: line endings, bytes and versions that are not HTTP/1.1's") {
    CHECK(error_of("GET / HTTP/1.1\nHost: a\n\n\r\n\r\n") != "");
    CHECK(error_of("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n") != "");
    CHECK(error_of("GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n") != "");
    CHECK(error_of("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"s) != "");
    CHECK(error_of("GET / HTTP/1.1\r\n Host: a\r\n\r\n") != "");
    CHECK(error_of("GET / HTTP/1.1\r\n: a\r\n\r\n") != "");
    CHECK(error_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n") != "");
    CHECK(error_of("GET  / HTTP/1.1\r\nHost: a\r\n\r\n") != "");
    CHECK(error_of("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n") != "");
    CHECK(error_of("G(T / HTTP/1.1\r\nHost: a\r\n\r\n") != "");
}

TEST_CASE("refused: chunk sizes that are not plain hexadecimal") {
    const std::string start = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    CHECK(error_of(start + "0x5\r\nhello\r\n0\r\n\r\n") != "");
    CHECK(error_of(start + "+5\r\nhello\r\n0\r\n\r\n") != "");
    CHECK(error_of(start + " 5\r\nhello\r\n0\r\n\r\n") != "");
    CHECK(error_of(start + "5 \r\nhelloX0\r\n\r\n") != "");
    CHECK(error_of(start + "5\nhello\r\n0\r\n\r\n") != "");
    CHECK(error_of(start + "5\r\nhelloXX0\r\n\r\n") != "");
    CHECK(error_of(start + "fffffffffffffffff\r\nhello\r\n0\r\n\r\n") != "");
    CHECK(error_of(start + "5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n") != "");
}

TEST_CASE("heads are bounded in bytes and in fields") {
    const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
    CHECK(parse(start + "X: " + std::string(64 * 1024, 'x') + "\r\n\r\n", 16384).error == "");
    CHECK(parse(start + "X: " + std::string(2 * kMaxHeadBytes, 'x'), 16384).error == "header fields too large");
    std::string many;
    for (std::size_t i = 0; i < kMaxFields; ++i) many += "A: b\r\n";
    CHECK(parse(start + many + "\r\n", 16384).error == "too many header fields");
}

TEST_CASE("a response to HEAD has no body, whatever its Content-Length says") {
    Http1Parser<false> parser(true);
    const auto used = parser.put("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    REQUIRE(used);
    CHECK(parser.done());
    CHECK(parser.head().body.kind == Framing::none);
}

TEST_CASE("a response that repeats its length has it once; differing lengths are refused") {
    Http1Parser<false> same;
    REQUIRE(same.put("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\nContent-Length: 2\r\n\r\n"));
    CHECK(count(same.head().fields, "Content-Length") == 1);
    Http1Parser<false> differing;
    CHECK(!differing.put("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n"));
}

TEST_CASE("a response without length ends when the origin closes; a cut one is an error") {
    Http1Parser<false> parser;
    const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
    REQUIRE(parser.put(head));
    CHECK(parser.head().body.kind == Framing::until_close);
    REQUIRE(parser.put("data"));
    CHECK(parser.body().size() == 1);
    CHECK(!parser.done());
    CHECK(parser.put_end());
    CHECK(parser.done());

    Http1Parser<false> cut;
    REQUIRE(cut.put("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"));
    REQUIRE(cut.put("data"));
    CHECK(!cut.put_end());
}

TEST_CASE("connection fields are removed with everything that Connection names, but never Host or Content-Length") {
    Fields fields{{"Host", "a"},      {"Connection", "close, X-Hop, Host, content-length"},
                  {"X-Hop", "1"},     {"Content-Length", "3"},
                  {"TE", "trailers"}, {"Keep-Alive", "5"},
                  {"Upgrade", "h2c"}, {"X-Stays", "1"}};
    remove_connection_fields(fields);
    REQUIRE(fields.size() == 3);
    CHECK(fields[0].name == "Host");
    CHECK(fields[1].name == "Content-Length");
    CHECK(fields[2].name == "X-Stays");
}

TEST_CASE("set replaces every instance in place of the first") {
    Fields fields{{"a", "1"}, {"X-Api-Key", "mine"}, {"b", "2"}, {"x-api-key", "mine too"}};
    set(fields, "x-api-key", "real");
    REQUIRE(fields.size() == 3);
    CHECK(fields[1].value == "real");
    CHECK(count(fields, "X-API-KEY") == 1);
}
