// Origins that speak HTTP/2 and mean harm: what they flood the gateway with fails the request that asked them, grows
// nothing, and is noticed by no other.

#include <doctest/doctest.h>

#include <functional>

#include "tests/support/protocol_pair.hpp"
#include "tests/support/proxy_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr std::size_t kMost = 64 * 1024 * 1024;  // far more than the kernel holds for us
constexpr std::size_t kGrowth = 16 * 1024 * 1024;

/// Sends it again and again until the gateway has had enough. False: it took kMost bytes.
bool is_stopped(Http2Peer& peer, const Frame& frame) {
    std::string many;
    while (many.size() < 16'000) many += frame.text();
    for (std::size_t sent = 0; sent < kMost; sent += many.size())
        if (!peer.wire().send(many)) return true;
    return false;
}

/// `attack` is what an origin does, on the connection of a request that waits for its head.
void check_harms_no_other(const std::function<void(Http2Peer&)>& attack) {
    ProtocolPair pair(kHttp2ToHttp2);
    const auto [client, origin] = pair.exchange(request("GET", "/attacked"), true);
    const auto before = resident_bytes();
    attack(pair.origins().http2());
    CHECK(client->read_head().status == 502);
    CHECK(resident_bytes() < before + kGrowth);
    const auto [next, honest] = pair.exchange(request("GET", "/next"), true);
    CHECK(pair.origins().connections() == 2);
    honest->send_head(response(204), true);
    CHECK(next->read_head().status == 204);
}

}  // namespace

TEST_CASE("an origin that asks for acknowledgements and reads none is given up, and harms no other request") {
    for (const Frame& frame : {Frame{NGHTTP2_PING, 0, 0, "12345678"}, Frame{NGHTTP2_SETTINGS, 0, 0, {}}})
        check_harms_no_other([&](Http2Peer& peer) { CHECK(is_stopped(peer, frame)); });
}

TEST_CASE("an origin's head without an end, or larger than anything, is a 502, never memory") {
    check_harms_no_other([](Http2Peer& peer) {
        peer.send({NGHTTP2_HEADERS, 0, peer.last_request(), peer.encode({{":status", "200"}})});
        CHECK(is_stopped(peer, {NGHTTP2_CONTINUATION, 0, peer.last_request(), peer.encode({{"x", "y"}})}));
    });
    check_harms_no_other([](Http2Peer& peer) {
        peer.send({NGHTTP2_HEADERS, 0, peer.last_request(), peer.encode({{":status", "200"}})});
        CHECK(is_stopped(peer, {NGHTTP2_CONTINUATION, 0, peer.last_request(), {}}));
    });
    check_harms_no_other([](Http2Peer& peer) {  // 16 MB in 5 KB
        const auto block = peer.encode({{":status", "200"}}) + peer.encode({{"x-large", std::string(4000, 'x')}});
        peer.send({NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, peer.last_request(), block + std::string(4000, '\xbe')});
    });
}
