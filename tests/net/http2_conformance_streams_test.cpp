// The gateway as a server of HTTP/2: the states of streams, and credit (RFC 9113, sections 5.1 and 6.9).

#include <doctest/doctest.h>

#include "tests/support/http2_reactions.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr std::uint8_t kEndStream = NGHTTP2_FLAG_END_STREAM;
constexpr std::uint8_t kEndHeaders = NGHTTP2_FLAG_END_HEADERS;
constexpr std::uint32_t kMostCredit = 0x7fffffff;

const std::string kProtocol = "GOAWAY PROTOCOL_ERROR";
const std::vector<std::string> kClosed{"RST_STREAM STREAM_CLOSED", "GOAWAY STREAM_CLOSED"};
const std::vector<std::string> kClosedOrIgnored{"RST_STREAM STREAM_CLOSED", "GOAWAY STREAM_CLOSED", "ignored"};

Frame settings(std::uint16_t id, std::uint32_t value) {
    return {NGHTTP2_SETTINGS, 0, 0, big_endian(id).substr(2) + big_endian(value)};
}

/// Priority as PRIORITY and HEADERS carry it (RFC 7540, section 6.3).
std::string depends_on(std::uint32_t stream, bool exclusive = false, std::uint8_t weight = 15) {
    return big_endian(stream | (exclusive ? 0x80000000u : 0)) + static_cast<char>(weight);
}

}  // namespace

TEST_CASE("RFC 9113, 5.1: frames that a stream's state does not allow") {
    Http2Server server;
    const auto hold = server.get("/hold");
    const auto reset_first = [&](Http2Peer& peer) {
        peer.send_fields(1, hold, true);
        peer.reset(1, NGHTTP2_CANCEL);
    };
    const auto over = [&](Http2Peer& peer) {  // both have ended it
        peer.send_fields(1, server.get(), true);
        peer.wait_for([&] { return peer.stream(1).ended; });
        peer.stream(1).blocks.clear();
    };
    const std::vector<std::string> closed_or_protocol{kClosed[0], kClosed[1], kProtocol};
    try_cases(server,
              {
                  {"idle: DATA",
                   [](auto& peer) {
                       peer.send({NGHTTP2_DATA, kEndStream, 1, "x"});
                   },
                   {kProtocol}},
                  {"idle: RST_STREAM", [](auto& peer) { peer.reset(1, NGHTTP2_CANCEL); }, {kProtocol}},
                  {"idle: WINDOW_UPDATE",
                   [](auto& peer) {
                       peer.send({NGHTTP2_WINDOW_UPDATE, 0, 1, big_endian(100)});
                   },
                   {kProtocol}},
                  {"idle: CONTINUATION",
                   [&](auto& peer) {
                       peer.send({NGHTTP2_CONTINUATION, kEndHeaders, 1, peer.encode(hold)});
                   },
                   {kProtocol}},
                  {"half-closed: DATA",
                   [&](auto& peer) {
                       peer.send_fields(1, hold, true);
                       peer.send({NGHTTP2_DATA, kEndStream, 1, "x"});
                   },
                   kClosed},
                  {"half-closed: HEADERS",
                   [&](auto& peer) {
                       peer.send_fields(1, hold, true);
                       peer.send_fields(1, hold, true);
                   },
                   kClosed},
                  {"half-closed: CONTINUATION",
                   [&](auto& peer) {
                       peer.send_fields(1, hold, true);
                       peer.send({NGHTTP2_CONTINUATION, kEndHeaders, 1, peer.encode(hold)});
                   },
                   closed_or_protocol},
                  {"half-closed: WINDOW_UPDATE, PRIORITY",
                   [&](auto& peer) {
                       peer.send_fields(1, hold, true);
                       peer.send({NGHTTP2_WINDOW_UPDATE, 0, 1, big_endian(100)});
                       peer.send({NGHTTP2_PRIORITY, 0, 1, big_endian(0) + "\x01"});
                   },
                   {"ignored"}},
                  {"half-closed: RST_STREAM", reset_first, {"ignored"}},
                  {"reset: DATA",
                   [&](auto& peer) {
                       reset_first(peer);
                       peer.send({NGHTTP2_DATA, kEndStream, 1, "x"});
                   },
                   kClosedOrIgnored},
                  {"reset: HEADERS",
                   [&](auto& peer) {
                       reset_first(peer);
                       peer.send_fields(1, hold, true);
                   },
                   kClosedOrIgnored},
                  {"reset: CONTINUATION",
                   [&](auto& peer) {
                       reset_first(peer);
                       peer.send({NGHTTP2_CONTINUATION, kEndHeaders, 1, peer.encode(hold)});
                   },
                   closed_or_protocol},
                  {"closed: DATA",
                   [&](auto& peer) {
                       over(peer);
                       peer.send({NGHTTP2_DATA, kEndStream, 1, "x"});
                   },
                   kClosedOrIgnored},
                  {"closed: HEADERS",
                   [&](auto& peer) {
                       over(peer);
                       peer.send_fields(1, hold, true);
                   },
                   kClosedOrIgnored},
                  {"closed: WINDOW_UPDATE, RST_STREAM, PRIORITY",
                   [&](auto& peer) {
                       over(peer);
                       peer.send({NGHTTP2_WINDOW_UPDATE, 0, 1, big_endian(100)});
                       peer.reset(1, NGHTTP2_CANCEL);
                       peer.send({NGHTTP2_PRIORITY, 0, 1, big_endian(0) + "\x01"});
                   },
                   {"ignored"}},
                  {"an even identifier", [&](auto& peer) { peer.send_fields(2, hold, true); }, {kProtocol}},
                  // Those below are closed (section 5.1.1), and nghttp2 passes over what comes on a closed stream.
                  {"an identifier below one that was used",
                   [&](auto& peer) {
                       peer.send_fields(5, hold, true);
                       peer.send_fields(3, server.get("/below"), true);
                   },
                   {kClosed[0], kClosed[1], kProtocol, "ignored"}},
              });
    CHECK(server.arrived("/below") == 0);
}

TEST_CASE("RFC 9113, 5.1.2: more streams than the gateway allows") {
    Http2Server server;
    auto peer = server.start();
    REQUIRE(peer.settings().contains(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
    const auto most = peer.settings().at(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    REQUIRE(most >= 100);  // RFC 9113, section 6.5.2
    REQUIRE(most <= 1000);
    REQUIRE(peer.answers_ping());
    for (std::uint32_t i = 0; i <= most; ++i) peer.send_fields(peer.new_stream(), server.get("/hold"), true);
    const auto seen = reaction(peer);
    CHECK_MESSAGE((seen == "RST_STREAM REFUSED_STREAM" || seen == "RST_STREAM PROTOCOL_ERROR" || seen == kProtocol),
                  seen);
}

TEST_CASE("RFC 9113, 6.5.3 and 6.8: settings are acknowledged, and GOAWAY of the client ends nothing that runs") {
    Http2Server server;
    auto peer = server.start();
    peer.send(settings(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 50));
    int acknowledged = 0;
    while (acknowledged < 2) {  // the first ones too
        const auto frame = peer.next_frame();
        REQUIRE(frame);
        if (frame->type == NGHTTP2_SETTINGS && frame->flags & NGHTTP2_FLAG_ACK) ++acknowledged;
    }
    peer.send_fields(1, server.head("POST", "/"), false);
    peer.go_away(0, 0xff);  // a code that nobody knows
    peer.send_data(1, "body", true);
    CHECK(reaction(peer, true) == "200");
    CHECK(peer.wait_for([&] { return peer.stream(1).ended; }));
}

TEST_CASE("RFC 9113, 6.9: too much credit") {
    Http2Server server;
    const auto hold = server.get("/hold");
    try_cases(server, {
                          {"for the connection",
                           [](auto& peer) {
                               peer.send({NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(kMostCredit)});
                           },
                           {"GOAWAY FLOW_CONTROL_ERROR"}},
                          {"for a stream",
                           [&](auto& peer) {
                               peer.send_fields(1, hold, true);
                               peer.send({NGHTTP2_WINDOW_UPDATE, 0, 1, big_endian(kMostCredit)});
                           },
                           {"RST_STREAM FLOW_CONTROL_ERROR", "GOAWAY FLOW_CONTROL_ERROR"}},
                          {"for a stream, by settings",
                           [&](auto& peer) {
                               peer.send_fields(1, hold, true);
                               peer.send({NGHTTP2_WINDOW_UPDATE, 0, 1, big_endian(kMostCredit - 65'535)});
                               peer.send(settings(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65'536));
                           },
                           {"GOAWAY FLOW_CONTROL_ERROR", "RST_STREAM FLOW_CONTROL_ERROR"}},
                      });
}

TEST_CASE("RFC 9113, 6.9: more DATA than there is credit for") {
    Http2Server server;
    auto peer = server.start();
    peer.send_fields(1, server.head("POST", "/hold"), false);  // its origin reads, and gives no answer
    const Frame full{NGHTTP2_DATA, 0, 1, std::string(16'384, 'x')};
    std::string seen = "ignored";
    // The credit is exceeded at the latest when more is sent than kernel and gateway can have passed on.
    for (std::size_t sent = 0; seen == "ignored" && sent < 64 * 1024 * 1024; sent += 16 * full.payload.size()) {
        for (int i = 0; i < 16; ++i) peer.send(full);
        seen = reaction(peer);
    }
    CHECK_MESSAGE((seen == "GOAWAY FLOW_CONTROL_ERROR" || seen == "RST_STREAM FLOW_CONTROL_ERROR"), seen);
}

TEST_CASE("RFC 9113, 6.9.2: an answer waits for credit, also when it was taken back") {
    Http2Server server;
    auto peer = server.start({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1}});
    peer.keep_credit(true);
    peer.send_fields(1, server.get(), true);
    CHECK(peer.wait_for([&] { return peer.stream(1).received == 1; }));
    CHECK(peer.answers_ping());
    CHECK(peer.stream(1).received == 1);
    CHECK_FALSE(peer.stream(1).ended);
    peer.send(settings(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0));  // the stream's is -1 now
    peer.send({NGHTTP2_WINDOW_UPDATE, 0, 1, big_endian(1)});
    CHECK(peer.answers_ping());
    CHECK(peer.stream(1).received == 1);
    peer.send(settings(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 100));
    CHECK(peer.wait_for([&] { return peer.stream(1).ended; }));
    CHECK(peer.stream(1).body == "ok");
}

TEST_CASE("RFC 9113, 5.3 and 7540, 5.3: priorities are ignored, whatever they say") {
    Http2Server server;
    const auto get = server.get();
    const std::vector<std::string> own_fault{"200", "RST_STREAM PROTOCOL_ERROR", kProtocol};
    const auto prioritised = [&](Http2Peer& peer, const std::string& priority) {
        peer.send({NGHTTP2_HEADERS, NGHTTP2_FLAG_PRIORITY | kEndHeaders | kEndStream, 5, priority + peer.encode(get)});
    };
    try_cases(server, {
                          {"HEADERS that depend on a stream that never was",
                           [&](auto& peer) { prioritised(peer, depends_on(99, true, 255)); },
                           {"200"}},
                          {"HEADERS that depend on themselves", [&](auto& peer) { prioritised(peer, depends_on(5)); },
                           own_fault},
                          {"PRIORITY of an idle stream, then a lower one",
                           [&](auto& peer) {
                               peer.send({NGHTTP2_PRIORITY, 0, 101, depends_on(0, true, 0)});
                               peer.send_fields(1, get, true);
                           },
                           {"200"}},
                          {"PRIORITY that depends on itself",
                           [&](auto& peer) {
                               peer.send({NGHTTP2_PRIORITY, 0, 5, depends_on(5)});
                               peer.send_fields(5, get, true);
                           },
                           own_fault},
                          {"PRIORITY in circles",
                           [&](auto& peer) {
                               for (std::uint32_t i = 1; i < 200; i += 2)
                                   peer.send({NGHTTP2_PRIORITY, 0, i, depends_on(i == 199 ? 1 : i + 2, true)});
                               peer.send_fields(5, get, true);
                           },
                           {"200"}},
                          {"PRIORITY_UPDATE (RFC 9218)",
                           [&](auto& peer) {
                               peer.send({0x10, 0, 0, big_endian(5) + "u=0, i"});
                               peer.send_fields(5, get, true);
                           },
                           {"200"}},
                      });
}
