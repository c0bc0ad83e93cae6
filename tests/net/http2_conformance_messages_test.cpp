// The gateway as a server of HTTP/2: requests that are malformed (RFC 9113, sections 8.1 to 8.6) and header blocks that
// cannot be decoded (RFC 7541). What is malformed is a stream error or an answer that says so, and reaches no origin.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "tests/support/http2_reactions.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr std::uint8_t kEndStream = NGHTTP2_FLAG_END_STREAM;
constexpr std::uint8_t kEndHeaders = NGHTTP2_FLAG_END_HEADERS;
const std::vector<std::string> kMalformed{"RST_STREAM PROTOCOL_ERROR", "400"};

/// `bytes` is a header block, as it is.
Frame headers(const std::string& bytes) { return {NGHTTP2_HEADERS, kEndHeaders | kEndStream, 1, bytes}; }

/// HPACK's plainest way to write a field (RFC 7541, section 6.2.2). Up to 126 bytes each.
std::string literal(const std::string& name, const std::string& value) {
    return std::string(1, '\0') + static_cast<char>(name.size()) + name + static_cast<char>(value.size()) + value;
}

Fields without(Fields fields, const std::string& name) {
    std::erase_if(fields, [&](const Field& field) { return field.first == name; });
    return fields;
}

Fields with(Fields fields, const std::string& name, const std::string& value) {
    for (auto& [known, old] : fields)
        if (known == name) old = value;
    return fields;
}

Fields and_also(Fields fields, const Fields& more) {
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
}

/// Sends each of them as a request without a body.
void try_requests(Http2Server& server, const std::vector<std::pair<std::string, Fields>>& requests,
                  const std::vector<std::string>& accepted) {
    std::vector<Http2Case> cases;
    for (const auto& [situation, fields] : requests)
        cases.push_back(
            {situation, [fields = fields](Http2Peer& peer) { peer.send_fields(1, fields, true); }, accepted});
    try_cases(server, cases);
}

}  // namespace

TEST_CASE("RFC 9113, 8.3: pseudo fields that are missing, doubled, unknown, or in the wrong place") {
    Http2Server server;
    const auto get = server.get("/malformed");
    Fields path_behind = without(get, ":path");
    path_behind.insert(path_behind.end(), {{"x", "y"}, {":path", "/malformed"}});
    try_requests(server,
                 {
                     {"no :method", without(get, ":method")},
                     {"no :scheme", without(get, ":scheme")},
                     {"no :path", without(get, ":path")},
                     {"no :authority and no Host", without(get, ":authority")},
                     {"two :method", and_also({{":method", "GET"}}, get)},
                     {"two :scheme", and_also({{":scheme", "https"}}, get)},
                     {"two :path", and_also({{":path", "/malformed"}}, get)},
                     {"two :authority", and_also({{":authority", "origin.test"}}, get)},
                     {"an empty :path", with(get, ":path", "")},
                     {"an empty :method", with(get, ":method", "")},
                     {"a :path that is none", with(get, ":path", "malformed")},
                     {"an absolute :path", with(get, ":path", "https://origin.test/malformed")},
                     {"a :method that is no token", with(get, ":method", "GET /malformed HTTP/1.1\r\nx:")},
                     {"a :path with a space", with(get, ":path", "/malformed HTTP/1.1")},
                     {"a :path with a line end", with(get, ":path", "/malformed\r\nx: y")},
                     {"a :path with a fragment", with(get, ":path", "/malformed#x")},
                     {"an :authority with userinfo", with(get, ":authority", "origin.test@evil.test")},
                     {"an :authority with a backslash", with(get, ":authority", "origin\\test")},
                     {"a :scheme that is none", with(get, ":scheme", "https*")},
                     {"a :path that is a star, but for OPTIONS", with(get, ":path", "*")},
                     {"an :authority with a line end", with(get, ":authority", "origin.test\r\nx: y")},
                     {"an unknown one", and_also({{":test", "x"}}, get)},
                     {"one of a response", and_also({{":status", "200"}}, get)},
                     {"one behind a field", path_behind},
                     {":protocol, without CONNECT", and_also({{":protocol", "websocket"}}, get)},
                     {":scheme http under TLS", with(get, ":scheme", "http")},
                 },
                 kMalformed);
    CHECK(server.arrived("/malformed") == 0);
}

TEST_CASE("RFC 9113, 8.2: fields that HTTP/2 does not have, or that nobody may send") {
    Http2Server server;
    const auto get = [&](const Fields& more) { return server.head("GET", "/malformed", more); };
    try_requests(server,
                 {
                     {"Connection", get({{"connection", "close"}})},
                     {"Keep-Alive", get({{"keep-alive", "timeout=5"}})},
                     {"Proxy-Connection", get({{"proxy-connection", "keep-alive"}})},
                     {"Transfer-Encoding", get({{"transfer-encoding", "chunked"}})},
                     {"Upgrade", get({{"upgrade", "websocket"}})},
                     {"TE other than trailers", get({{"te", "gzip"}})},
                     {"TE: trailers and more", get({{"te", "trailers, deflate;q=0.5"}})},
                     {"an upper-case name", get({{"X-Test", "ok"}})},
                     {"a name with a space", get({{"x test", "ok"}})},
                     {"a name with a colon", get({{"x:test", "ok"}})},
                     {"a name with a line end", get({{"x\r\ntest", "ok"}})},
                     {"a name with a zero byte", get({{std::string("x\0test", 6), "ok"}})},
                     {"a name beyond ASCII", get({{"x-t\xc3\xa9st", "ok"}})},
                     {"an empty name", get({{"", "ok"}})},
                     {"a value with a line end", get({{"x-test", "ok\r\nx-smuggled: yes"}})},
                     {"a value with a bare LF", get({{"x-test", "ok\nx-smuggled: yes"}})},
                     {"a value with a zero byte", get({{"x-test", std::string("o\0k", 3)}})},
                     {"a value that begins with a space", get({{"x-test", " ok"}})},
                     {"a value that ends with a tab", get({{"x-test", "ok\t"}})},
                     {"a Host that is not :authority", get({{"host", "evil.test"}})},
                     {"two Hosts", without(get({{"host", "origin.test"}, {"host", "evil.test"}}), ":authority")},
                     {"two Content-Length", get({{"content-length", "0"}, {"content-length", "0"}})},
                     {"Content-Length twice in one", get({{"content-length", "0, 0"}})},
                     {"Content-Length that is empty", get({{"content-length", ""}})},
                     {"Content-Length that is no number", get({{"content-length", "+0"}})},
                     {"Content-Length of a body that does not come", get({{"content-length", "4"}})},
                 },
                 kMalformed);
    CHECK(server.arrived("/malformed") == 0);
}

TEST_CASE("RFC 9113, 8.1 and 8.6: bodies and trailers that are not what was announced") {
    Http2Server server;
    const auto post = server.head("POST", "/malformed");
    const auto announced = server.head("POST", "/malformed", {{"content-length", "4"}});
    const std::vector<std::string> error{"RST_STREAM PROTOCOL_ERROR", "400"};
    try_cases(server, {
                          {"a body shorter than announced",
                           [&](auto& peer) {
                               peer.send_fields(1, announced, false);
                               peer.send({NGHTTP2_DATA, kEndStream, 1, "ab"});
                           },
                           error},
                          {"a body longer than announced",
                           [&](auto& peer) {
                               peer.send_fields(1, announced, false);
                               peer.send({NGHTTP2_DATA, kEndStream, 1, "abcdef"});
                           },
                           error},
                          {"a body longer than announced, in pieces",
                           [&](auto& peer) {
                               peer.send_fields(1, announced, false);
                               peer.send({NGHTTP2_DATA, 0, 1, "abc"});
                               peer.send({NGHTTP2_DATA, kEndStream, 1, "def"});
                           },
                           error},
                          {"a body shorter than announced, with trailers",
                           [&](auto& peer) {
                               peer.send_fields(1, announced, false);
                               peer.send({NGHTTP2_DATA, 0, 1, "abc"});
                               peer.send_fields(1, {{"x", "y"}}, true);
                           },
                           error},
                          {"trailers without the end of the stream",
                           [&](auto& peer) {
                               peer.send_fields(1, post, false);
                               peer.send({NGHTTP2_DATA, 0, 1, "abc"});
                               peer.send_fields(1, {{"x", "y"}}, false);
                           },
                           error},
                          {"a pseudo field in trailers",
                           [&](auto& peer) {
                               peer.send_fields(1, post, false);
                               peer.send({NGHTTP2_DATA, 0, 1, "abc"});
                               peer.send_fields(1, {{":method", "GET"}}, true);
                           },
                           error},
                          {"a line end in trailers",
                           [&](auto& peer) {
                               peer.send_fields(1, post, false);
                               peer.send({NGHTTP2_DATA, 0, 1, "abc"});
                               peer.send_fields(1, {{"x", "y\r\n\r\nGET /malformed/smuggled HTTP/1.1"}}, true);
                           },
                           error},
                      });
    CHECK(server.arrived("/malformed") == 0);
}

TEST_CASE("RFC 7541: header blocks that cannot be decoded") {
    Http2Server server;
    const auto get = server.get("/malformed");
    const auto block = [&](const std::string& more) {
        return [&get, more](Http2Peer& peer) { peer.send(headers(peer.encode(get) + more)); };
    };
    const std::vector<std::string> error{"GOAWAY COMPRESSION_ERROR"};
    try_cases(server,
              {
                  {"2.3.3: an index that does not exist", block("\xff\x80\x01"), error},
                  {"2.3.3: a name's index that does not exist", block("\x7f\x80\x01\x04test"), error},
                  {"4.2: a change of the table's size at the end", block("\x21"), error},
                  {"5.1: a number without an end", block("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), error},
                  {"5.2: Huffman code with more than 7 bits of padding",
                   block(std::string("\0\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff", 12)), error},
                  {"5.2: Huffman code that is padded with zeroes",
                   block(std::string("\0\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90", 11)), error},
                  {"5.2: Huffman code with EOS",
                   block(std::string("\0\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f", 15)), error},
                  {"6.1: index 0", block("\x80"), error},
                  {"6.3: a table larger than allowed",
                   [&](auto& peer) { peer.send(headers("\x3f\xe1\xff\x7f" + peer.encode(get))); }, error},
                  {"a string that is longer than its block", block(std::string("\0\x01x\x7fy", 5)), error},
              });
    CHECK(server.arrived("/malformed") == 0);
}

TEST_CASE("RFC 7541: every way to write a field is understood") {
    Http2Server server;
    const auto ask = [&](const std::string& path) {
        std::string authority;
        for (const auto& [name, value] : server.get())
            if (name == ":authority") authority = value;
        return std::string("\x82\x87", 2) + literal(":authority", authority) + literal(":path", path);
    };
    const auto served = [&](const std::string& more, const char* path) {
        return Http2Case{path, [block = ask(path) + more](Http2Peer& peer) { peer.send(headers(block)); }, {"200"}};
    };
    try_cases(server, {
                          served("", "/literal"),
                          served(std::string("\x10\x01x\x01y", 5), "/never-indexed"),
                          served(std::string("\x40\x01x\x01y\xbe", 6), "/indexed-and-used-again"),
                          served(std::string("\x00\x85\xf2\xb2\x4a\x84\xff\x01y", 9), "/huffman"),
                          {"/sizes",
                           [block = "\x20\x3f\xe1\x1f" + ask("/sizes")](Http2Peer& peer) { peer.send(headers(block)); },
                           {"200"}},
                          {"/pieces",
                           [block = ask("/pieces")](Http2Peer& peer) {
                               peer.send({NGHTTP2_HEADERS, kEndStream, 1, block.substr(0, 1)});
                               for (std::size_t at = 1; at < block.size(); at += 7)
                                   peer.send({NGHTTP2_CONTINUATION,
                                              static_cast<std::uint8_t>(at + 7 < block.size() ? 0 : kEndHeaders), 1,
                                              block.substr(at, 7)});
                           },
                           {"200"}},
                      });
    for (const char* path : {"/literal", "/never-indexed", "/indexed-and-used-again", "/huffman", "/sizes", "/pieces"})
        CHECK_MESSAGE(server.arrived(path) == 1, std::string(path));
}

TEST_CASE("header blocks without an end, or larger than anything: an error, never memory") {
    Http2Server server;
    const auto get = server.get("/malformed");
    const std::vector<std::string> refused{"431",
                                           "GOAWAY ENHANCE_YOUR_CALM",
                                           "GOAWAY COMPRESSION_ERROR",
                                           "GOAWAY INTERNAL_ERROR",
                                           "GOAWAY PROTOCOL_ERROR",
                                           "RST_STREAM ENHANCE_YOUR_CALM",
                                           "RST_STREAM PROTOCOL_ERROR",
                                           "RST_STREAM INTERNAL_ERROR",
                                           "RST_STREAM REFUSED_STREAM",
                                           "closed"};
    try_cases(
        server,
        {
            {"a megabyte of fields",
             [&](auto& peer) {
                 peer.send_fields(1, and_also(get, Fields(100, Field{"x-large", std::string(10'000, 'x')})), true);
             },
             refused},
            {"a bomb of indexed fields: 16 MB in 5 KB",
             [&](auto& peer) {
                 const auto large = peer.encode({{"x-large", std::string(4000, 'x')}});
                 peer.send(headers(peer.encode(get) + large + std::string(4000, '\xbe')));
             },
             refused},
            {"ten thousand fields",
             [&](auto& peer) {
                 peer.send_fields(1, and_also(get, Fields(10'000, Field{"x", "y"})), true);
             },
             refused},
            {"ten thousand empty CONTINUATIONs",
             [&](auto& peer) {
                 peer.send({NGHTTP2_HEADERS, kEndStream, 1, peer.encode(get)});
                 for (int i = 0; i < 10'000; ++i) peer.send({NGHTTP2_CONTINUATION, 0, 1, {}});
             },
             refused},
        });
    CHECK(server.arrived("/malformed") == 0);
}
