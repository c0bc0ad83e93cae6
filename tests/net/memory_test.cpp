// Memory that runs out for one message, on either side of the gateway: its connection ends, and no other.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/net/failing_memory.hpp"
#include "tests/support/http2_reactions.hpp"
#include "tests/support/protocol_pair.hpp"
#include "tests/support/proxy_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kLarge(10'000, 'x');

}  // namespace

TEST_CASE("memory that runs out for one request ends its connection, and no other") {
    Http2Server server;
    auto other = server.start();
    const std::string path = "/" + kLarge;
    for (const int spared : {0, 1}) {  // as the head is read, and as the request is served
        auto peer = server.start();
        const Frame head{NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
                         peer.encode(server.get(path))};
        const auto text = head.text();  // so that nothing of ours asks for as much meanwhile
        const FailingMemory memory(path.size() + 1, spared);
        peer.wire().send(text);
        CHECK_FALSE(peer.wait_for([] { return false; }));
        CHECK(peer.wire().closed());
        CHECK(FailingMemory::failures() > 0);
    }
    other.send_fields(other.new_stream(), server.get(), true);
    CHECK(reaction(other, true) == "200");
}

TEST_CASE("memory that runs out for one request over HTTP/1.1 ends its connection, and no other") {
    WireOrigin origin(
        [](WirePeer& peer) {
            while (!peer.read_message().empty()) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        },
        testing::make_server(ProxyGround::origin_ca().good("api.test")), WireOrigin::Serving::side_by_side);
    const ProxyGround ground(fmt::format("[[allow]]\nhost = \"api.test\"\nport = {}\nprivate = true\n", origin.port()));
    const auto get = [&](const std::string& path) {
        return fmt::format("GET {} HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", path, origin.port());
    };
    auto other = ground.tls("api.test", origin.port());
    const auto served = [&] {
        other.send(get("/"));
        return other.read_message().ends_with("hello");
    };
    REQUIRE(served());
    const auto path = "/" + kLarge, text = get(path);
    for (const int spared : {0, 1}) {
        auto client = ground.tls("api.test", origin.port());
        const FailingMemory memory(path.size() + 1, spared);
        client.send(text);
        CHECK(client.closed());
        CHECK(FailingMemory::failures() > 0);
    }
    CHECK(served());
    CHECK(comes_true([&] { return ground.sessions() == 1; }));
}

TEST_CASE("memory that runs out for one response over HTTP/2 ends the origin's connection, and no other") {
    ProtocolPair pair(kHttp2ToHttp2);
    const auto attacked = pair.exchange(request("POST", "/attacked"), true);  // it is not asked again
    auto& peer = pair.origins().http2();
    const Frame head{NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, peer.last_request(),
                     peer.encode({{":status", "200"}, {"x-large", kLarge}})};
    const auto text = head.text();
    {
        const FailingMemory memory(kLarge.size() + 1, 0);
        peer.wire().send(text);
        CHECK(attacked.client->read_head().status == 502);
        CHECK(FailingMemory::failures() > 0);
    }
    CHECK_FALSE(peer.wait_for([] { return false; }));
    CHECK(peer.wire().closed());
    const auto next = pair.exchange(request("GET", "/next"), true);  // on the same connection of the client
    CHECK(pair.origins().connections() == 2);
    next.origin->send_head(response(204), true);
    CHECK(next.client->read_head().status == 204);
}
