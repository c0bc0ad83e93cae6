// The gateway as a server of HTTP/2: frames that RFC 9113 forbids, or wants ignored. "GOAWAY" stands for a connection
// error, "RST_STREAM" for a stream error; where there are several, the RFC leaves the choice.

#include <doctest/doctest.h>

#include "tests/support/http2_reactions.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr std::uint8_t kEndStream = NGHTTP2_FLAG_END_STREAM;
constexpr std::uint8_t kEndHeaders = NGHTTP2_FLAG_END_HEADERS;
constexpr std::uint8_t kUnknownType = 0x42;

const std::string kPriority = big_endian(0) + "\x0f";  // as PRIORITY has it (RFC 7540, section 6.3)
const std::string kProtocol = "GOAWAY PROTOCOL_ERROR";
const std::string kFrameSize = "GOAWAY FRAME_SIZE_ERROR";
const std::string kFlowControl = "GOAWAY FLOW_CONTROL_ERROR";

Frame settings(std::uint16_t id, std::uint32_t value) {
    return {NGHTTP2_SETTINGS, 0, 0, big_endian(id).substr(2) + big_endian(value)};
}

}  // namespace

TEST_CASE("RFC 9113, 3.4: prefaces") {
    Http2Server server;
    auto good = server.connect();
    good.start();
    const auto first = good.next_frame();
    REQUIRE(first);
    CHECK(first->type == NGHTTP2_SETTINGS);
    CHECK((first->flags & NGHTTP2_FLAG_ACK) == 0);
    CHECK(good.answers_ping());

    auto wrong = server.connect();
    wrong.wire().send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + Frame{NGHTTP2_SETTINGS, 0, 0, {}}.text());
    const auto seen = reaction(wrong, true);
    CHECK_MESSAGE((seen == "closed" || seen == kProtocol), seen);

    auto other = server.connect();
    other.wire().send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    other.send({NGHTTP2_PING, 0, 0, "12345678"});  // SETTINGS has to be first
    CHECK(reaction(other, true) == kProtocol);

    auto old = server.connect();
    old.wire().send("GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n");
    const auto not_answered = reaction(old, true);
    CHECK_MESSAGE((not_answered == "closed" || not_answered == kProtocol), not_answered);
    CHECK(server.arrived("/") == 0);
}

TEST_CASE("RFC 9113, 4: frame format and size") {
    Http2Server server;
    const auto get = server.get();
    const auto hold = server.get("/hold");
    const auto post = server.head("POST", "/");
    const auto most = [](Http2Peer& peer) {
        const auto known = peer.settings().find(NGHTTP2_SETTINGS_MAX_FRAME_SIZE);
        return known == peer.settings().end() ? 16'384u : known->second;
    };
    try_cases(server,
              {
                  {"an unknown type",
                   [](auto& peer) {
                       peer.send({kUnknownType, 0, 0, "12345678"});
                   },
                   {"ignored"}},
                  {"an unknown type, on a stream that is idle",
                   [](auto& peer) {
                       peer.send({kUnknownType, 0xff, 7, "1"});
                   },
                   {"ignored"}},
                  {"flags that are undefined",
                   [](auto& peer) {
                       peer.send({NGHTTP2_PING, 0xf6, 0, "12345678"});
                   },
                   {"ignored"}},
                  {"the reserved bit",
                   [](auto& peer) {
                       peer.send({NGHTTP2_PING, 0, 0x80000000u, "12345678"});
                   },
                   {"ignored"}},
                  {"DATA of 2^14 bytes",
                   [&](auto& peer) {
                       peer.send_fields(1, post, false);
                       peer.send({NGHTTP2_DATA, kEndStream, 1, std::string(16'384, 'x')});
                   },
                   {"200"}},
                  {"DATA above the limit",
                   [&](auto& peer) {
                       peer.send_fields(1, server.head("POST", "/hold"), false);
                       peer.send({NGHTTP2_DATA, kEndStream, 1, std::string(most(peer) + 1, 'x')});
                   },
                   {kFrameSize, "RST_STREAM FRAME_SIZE_ERROR"}},
                  {"HEADERS above the limit",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_HEADERS, kEndHeaders | kEndStream, 1, std::string(most(peer) + 1, '\x82')});
                   },
                   {kFrameSize}},
                  {"SETTINGS above the limit",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_SETTINGS, 0, 0, std::string(most(peer) / 6 * 6 + 6, '\0')});
                   },
                   {kFrameSize}},
                  {"a header block that cannot be decoded",
                   [](auto& peer) {
                       peer.send({NGHTTP2_HEADERS, kEndHeaders | kEndStream, 1, "\xff\xff\xff\xff\xff\xff\xff\xff"});
                   },
                   {"GOAWAY COMPRESSION_ERROR"}},
                  {"PRIORITY within a header block",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_HEADERS, kEndStream, 1, peer.encode(get)});
                       peer.send({NGHTTP2_PRIORITY, 0, 1, kPriority});
                   },
                   {kProtocol}},
                  {"PING within a header block",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_HEADERS, kEndStream, 1, peer.encode(get)});
                       peer.send({NGHTTP2_PING, 0, 0, "12345678"});
                   },
                   {kProtocol}},
                  {"an unknown frame within a header block",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_HEADERS, kEndStream, 1, peer.encode(get)});
                       peer.send({kUnknownType, 0, 1, "1"});
                   },
                   {kProtocol}},
                  {"HEADERS of another stream within a header block",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_HEADERS, kEndStream, 1, peer.encode(get)});
                       peer.send({NGHTTP2_HEADERS, kEndStream | kEndHeaders, 3, peer.encode(get)});
                   },
                   {kProtocol}},
                  {"an unknown setting", [](auto& peer) { peer.send(settings(0xff, 1)); }, {"ignored"}},
                  {"an unknown code of RST_STREAM",
                   [&](auto& peer) {
                       peer.send_fields(1, hold, true);
                       peer.reset(1, 0xff);
                   },
                   {"ignored"}},
                  {"padding",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_HEADERS, NGHTTP2_FLAG_PADDED | kEndHeaders, 1,
                                  std::string(1, '\x05') + peer.encode(post) + std::string(5, '\0')});
                       peer.send({NGHTTP2_DATA, NGHTTP2_FLAG_PADDED | kEndStream, 1,
                                  std::string("\x04"
                                              "body\0\0\0\0",
                                              9)});
                   },
                   {"200"}},
              });
}

TEST_CASE("RFC 9113, 6: each frame's own errors") {
    Http2Server server;
    const auto hold = server.get("/hold");
    const auto post = server.head("POST", "/hold");
    try_cases(server,
              {
                  {"DATA without a stream",
                   [](auto& peer) {
                       peer.send({NGHTTP2_DATA, 0, 0, "x"});
                   },
                   {kProtocol}},
                  {"DATA with more padding than there is",
                   [&](auto& peer) {
                       peer.send_fields(1, post, false);
                       peer.send({NGHTTP2_DATA, NGHTTP2_FLAG_PADDED | kEndStream, 1, "\x06test"});
                   },
                   {kProtocol}},
                  {"HEADERS without a stream",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_HEADERS, kEndHeaders | kEndStream, 0, peer.encode(hold)});
                   },
                   {kProtocol}},
                  {"HEADERS with more padding than there is",
                   [&](auto& peer) {
                       const auto block = peer.encode(hold);
                       peer.send({NGHTTP2_HEADERS, NGHTTP2_FLAG_PADDED | kEndHeaders | kEndStream, 1,
                                  std::string(1, static_cast<char>(block.size() + 1)) + block});
                   },
                   {kProtocol}},
                  // nghttp2 looks at no PRIORITY once SETTINGS_NO_RFC7540_PRIORITIES was sent (RFC 9218, section 2.1).
                  {"PRIORITY without a stream",
                   [](auto& peer) {
                       peer.send({NGHTTP2_PRIORITY, 0, 0, kPriority});
                   },
                   {kProtocol, "ignored"}},
                  {"PRIORITY of another size",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_PRIORITY, 0, 1, "1234"});
                   },
                   {kFrameSize, "RST_STREAM FRAME_SIZE_ERROR"}},
                  {"RST_STREAM without a stream", [](auto& peer) { peer.reset(0, NGHTTP2_CANCEL); }, {kProtocol}},
                  {"RST_STREAM of another size",
                   [&](auto& peer) {
                       peer.send_fields(1, hold, true);
                       peer.send({NGHTTP2_RST_STREAM, 0, 1, "123"});
                   },
                   {kFrameSize}},
                  {"SETTINGS: an acknowledgement with a payload",
                   [](auto& peer) {
                       peer.send({NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, std::string(6, '\0')});
                   },
                   {kFrameSize}},
                  {"SETTINGS on a stream",
                   [](auto& peer) {
                       peer.send({NGHTTP2_SETTINGS, 0, 1, {}});
                   },
                   {kProtocol}},
                  {"SETTINGS of another size",
                   [](auto& peer) {
                       peer.send({NGHTTP2_SETTINGS, 0, 0, "123"});
                   },
                   {kFrameSize}},
                  {"SETTINGS_ENABLE_PUSH = 2",
                   [](auto& peer) { peer.send(settings(NGHTTP2_SETTINGS_ENABLE_PUSH, 2)); },
                   {kProtocol}},
                  {"SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1",
                   [](auto& peer) { peer.send(settings(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x80000000u)); },
                   {kFlowControl}},
                  {"SETTINGS_MAX_FRAME_SIZE below 2^14",
                   [](auto& peer) { peer.send(settings(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 16'383)); },
                   {kProtocol}},
                  {"SETTINGS_MAX_FRAME_SIZE above 2^24-1",
                   [](auto& peer) { peer.send(settings(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 1u << 24)); },
                   {kProtocol}},
                  {"PUSH_PROMISE by a client",
                   [&](auto& peer) {
                       peer.send_fields(1, hold, true);
                       peer.send({NGHTTP2_PUSH_PROMISE, kEndHeaders, 1, big_endian(2) + peer.encode(hold)});
                   },
                   {kProtocol}},
                  {"PING on a stream",
                   [](auto& peer) {
                       peer.send({NGHTTP2_PING, 0, 1, "12345678"});
                   },
                   {kProtocol}},
                  {"PING of another size",
                   [](auto& peer) {
                       peer.send({NGHTTP2_PING, 0, 0, "123456"});
                   },
                   {kFrameSize}},
                  {"PING, an acknowledgement of nothing",
                   [](auto& peer) {
                       peer.send({NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678"});
                   },
                   {"ignored"}},
                  {"GOAWAY on a stream",
                   [](auto& peer) {
                       peer.send({NGHTTP2_GOAWAY, 0, 1, big_endian(0) + big_endian(0)});
                   },
                   {kProtocol}},
                  {"WINDOW_UPDATE of nothing, for the connection",
                   [](auto& peer) {
                       peer.send({NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(0)});
                   },
                   {kProtocol}},
                  {"WINDOW_UPDATE of nothing, for a stream",
                   [&](auto& peer) {
                       peer.send_fields(1, hold, true);
                       peer.send({NGHTTP2_WINDOW_UPDATE, 0, 1, big_endian(0)});
                   },
                   {"RST_STREAM PROTOCOL_ERROR", kProtocol}},
                  {"WINDOW_UPDATE of another size",
                   [](auto& peer) {
                       peer.send({NGHTTP2_WINDOW_UPDATE, 0, 0, "123"});
                   },
                   {kFrameSize}},
                  {"CONTINUATION of nothing",
                   [&](auto& peer) {
                       peer.send_fields(1, post, false);
                       peer.send({NGHTTP2_CONTINUATION, kEndHeaders, 1, peer.encode({{"x", "y"}})});
                   },
                   {kProtocol}},
                  {"CONTINUATION without a stream",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_HEADERS, kEndStream, 1, peer.encode(hold)});
                       peer.send({NGHTTP2_CONTINUATION, kEndHeaders, 0, peer.encode({{"x", "y"}})});
                   },
                   {kProtocol}},
                  {"CONTINUATION behind a CONTINUATION that was the last",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_HEADERS, 0, 1, peer.encode(post)});
                       peer.send({NGHTTP2_CONTINUATION, kEndHeaders, 1, peer.encode({{"x", "y"}})});
                       peer.send({NGHTTP2_CONTINUATION, kEndHeaders, 1, peer.encode({{"x", "y"}})});
                   },
                   {kProtocol}},
              });
}
