// Clients that mean harm, beside an honest one that must not notice; and many rounds of all of them.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <malloc.h>

#include <atomic>
#include <thread>

#include "gateway/http/content_coding.hpp"
#include "tests/support/http2_peer.hpp"
#include "tests/support/proxy_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kValue = "real-Value-of-a-secret";
const std::string kUpgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";  // with the key of RFC 6455, section 1.3

void answer(WirePeer& peer, const std::string& head) {
    const auto asks_for = [&](const std::string& path) { return head.find(" " + path + " ") != std::string::npos; };
    if (asks_for("/hold")) return;
    if (asks_for("/chat")) {
        peer.send("HTTP/1.1 101 Switching Protocols\r\n" + kUpgrade +
                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
        peer.send(peer.read_exactly(4) == "tell" ? kValue : "pong");
        peer.closed();
        return;
    }
    std::string body = "hello";
    if (asks_for("/told")) {
        body.clear();
        http::make_encoder(http::Coding::gzip)->put("it is " + kValue + ".", true, body);
    }
    const auto* const coding = asks_for("/told") ? "Content-Encoding: gzip\r\n" : "";
    peer.send(fmt::format("HTTP/1.1 200 OK\r\n{}Content-Length: {}\r\n\r\n{}", coding, body.size(), body));
}

/// Answers every request but those for /hold, over TLS; reads no body.
std::unique_ptr<WireOrigin> origin() {
    return std::make_unique<WireOrigin>(
        [](WirePeer& peer) {
            for (std::string head; !(head = peer.read_message()).empty();) answer(peer, head);
        },
        testing::make_server(ProxyGround::origin_ca().good("api.test"), "http/1.1"), WireOrigin::Serving::side_by_side);
}

std::string policy_for(std::uint16_t port) {
    return fmt::format("[[allow]]\nhost = \"api.test\"\nport = {}\nprivate = true\n", port);
}

std::string with_secret() {
    ::setenv("SALLYPORT_TEST_SOAKED", kValue.c_str(), 1);
    return "[[secret]]\nname = \"k\"\nhost = \"api.test\"\nheader = \"x-api-key\"\nplaceholder = \"placeholder\"\n"
           "value = { env = \"SALLYPORT_TEST_SOAKED\" }\n";
}

std::string get(std::uint16_t port, const std::string& path = "/", const std::string& fields = "") {
    return fmt::format("GET {} HTTP/1.1\r\nHost: api.test:{}\r\n{}\r\n", path, port, fields);
}

bool served(const ProxyGround& ground, std::uint16_t port) {
    auto client = ground.tls("api.test", port);
    client.send(get(port));
    return client.read_message().ends_with("hello");
}

struct Place {
    const ProxyGround& ground;
    std::uint16_t origin;

    Http2Peer http2() const {
        Http2Peer peer(ground.tls("api.test", origin, "h2"), Http2Peer::Role::client);
        peer.start();
        peer.next_frame();
        return peer;
    }
    Fields request(const std::string& method, const std::string& path) const {
        return {{":method", method},
                {":scheme", "https"},
                {":authority", fmt::format("api.test:{}", origin)},
                {":path", path}};
    }
};

/// One client's attack, from its connection to its end. `go_on` says whether to.
struct Attack {
    std::string name;
    std::function<void(const Place&, const std::function<bool()>& go_on)> run;
};

/// An attack that writes these frames again and again, on a connection with an upload that is under way.
Attack flood(const std::string& name, const Frame& frame) {
    return {name, [frame](const Place& place, const std::function<bool()>& go_on) {
                auto peer = place.http2();
                peer.send_fields(peer.new_stream(), place.request("POST", "/hold"), false);
                std::string many;
                while (many.size() < 16'000) many += frame.text();
                for (bool open = true; open && go_on();) open = peer.wire().send(many) && peer.take_frames();
            }};
}

const std::vector<Attack>& attacks() {
    static const std::vector<Attack> kAttacks{
        {"rapid reset (CVE-2023-44487)",
         [](const Place& place, const std::function<bool()>& go_on) {
             auto peer = place.http2();
             for (bool open = true; open && go_on(); open = peer.take_frames())
                 for (int i = 0; i < 50 && open; ++i) {
                     const auto stream = peer.new_stream();
                     peer.send_fields(stream, place.request("GET", "/hold"), true);
                     peer.reset(stream, NGHTTP2_CANCEL);
                 }
         }},
        {"streams that the server is made to reset (CVE-2025-8671)",
         [](const Place& place, const std::function<bool()>& go_on) {
             auto peer = place.http2();
             for (bool open = true; open && go_on(); open = peer.take_frames())
                 for (int i = 0; i < 50 && open; ++i) {
                     const auto stream = peer.new_stream();
                     peer.send_fields(stream, place.request("GET", "/hold"), true);
                     peer.send({NGHTTP2_WINDOW_UPDATE, 0, stream, big_endian(0x7fffffff)});
                 }
         }},
        {"CONTINUATION without an end (CVE-2024-28182)",
         [](const Place& place, const std::function<bool()>& go_on) {
             auto peer = place.http2();
             peer.send({NGHTTP2_HEADERS, 0, peer.new_stream(), peer.encode(place.request("GET", "/"))});
             const std::string fields = peer.encode({{"x", std::string(1000, 'y')}});
             for (bool open = true; open && go_on();)
                 open = peer.wire().send(Frame{NGHTTP2_CONTINUATION, 0, 1, fields}.text()) && peer.take_frames();
         }},
        flood("SETTINGS", {NGHTTP2_SETTINGS, 0, 0, std::string("\0\4\0\0\0\0", 6)}),
        flood("PING", {NGHTTP2_PING, 0, 0, "12345678"}),
        flood("DATA without content", {NGHTTP2_DATA, 0, 1, {}}),
        flood("PRIORITY", {NGHTTP2_PRIORITY, 0, 1, std::string("\0\0\0\3\1", 5)}),
        flood("credit in single bytes", {NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(1)}),
        flood("frames of a type that nobody knows", {0xfa, 0, 0, "?"}),
        {"a window that stays shut",
         [](const Place& place, const std::function<bool()>& go_on) {
             auto peer = place.http2();
             peer.keep_credit(true);
             peer.send({NGHTTP2_SETTINGS, 0, 0, std::string("\0\4\0\0\0\0", 6)});
             for (int i = 0; i < 100; ++i) peer.send_fields(peer.new_stream(), place.request("GET", "/"), true);
             while (go_on() && peer.take_frames()) std::this_thread::yield();
         }},
        {"HPACK bombs",
         [](const Place& place, const std::function<bool()>& go_on) {
             while (go_on()) {
                 auto peer = place.http2();
                 auto block = peer.encode(place.request("GET", "/"));
                 block += peer.encode({{"x-large", std::string(4000, 'x')}}) + std::string(4000, '\xbe');
                 peer.send({NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, block});
                 peer.wait_for([&] { return peer.goaway_code() || peer.stream(1).ended || peer.stream(1).reset; });
             }
         }},
        {"names that nothing allows, each another one",
         [](const Place& place, const std::function<bool()>& go_on) {
             static std::atomic<int> number = 0;
             const auto context = client_context(place.ground.ca_pem());
             while (go_on()) {
                 auto peer = place.ground.tunnel("api.test", place.origin);
                 peer.start_tls(client_ssl(context, fmt::format("n{}.evil.test", ++number), "http/1.1"));
             }
         }},
        {"connections that are reset at once",
         [](const Place& place, const std::function<bool()>& go_on) {
             while (go_on()) place.ground.connect().reset();
         }},
        {"handshakes that break off",
         [](const Place& place, const std::function<bool()>& go_on) {
             while (go_on()) {
                 auto peer = place.ground.tunnel("api.test", place.origin);
                 peer.send(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
                 peer.reset();
             }
         }},
        {"requests whose client leaves before the answer",
         [](const Place& place, const std::function<bool()>& go_on) {
             while (go_on()) {
                 auto peer = place.ground.tls("api.test", place.origin);
                 peer.send(fmt::format("GET /hold HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", place.origin));
                 peer.reset();
             }
         }},
    };
    return kAttacks;
}

/// Runs it beside the test until that ends, again and again where the gateway ends it.
class Attacker {
public:
    Attacker(const Attack& attack, const Place& place)
        : thread_([this, attack, place] {
              while (!over_) {
                  try {
                      attack.run(place, [this] {
                          began_ = true;
                          return !over_;
                      });
                  } catch (const std::exception&) {
                      // The gateway has ended it.
                  }
              }
          }) {}
    ~Attacker() {
        over_ = true;
        thread_.join();
    }
    Attacker(const Attacker&) = delete;
    Attacker& operator=(const Attacker&) = delete;
    bool began() const { return began_; }

private:
    std::atomic<bool> over_ = false, began_ = false;
    std::thread thread_;
};

/// What a host with a secret may be asked for: a body in which it is, compressed, and tunnels, one of which holds it.
void use_secret(const Place& place) {
    auto client = place.ground.tls("api.test", place.origin);
    client.send(get(place.origin, "/told", "Accept-Encoding: gzip\r\n"));
    const auto told = client.read_message();
    const auto body = told.find("\r\n\r\n") + 4;
    std::string_view left = std::string_view(told).substr(body);
    std::string text;
    CHECK(http::make_decoder(http::Coding::gzip)->run(left, text));
    CHECK(text == "it is placeholder.");
    for (const std::string say : {"ping", "tell"}) {
        auto tunnel = place.ground.tls("api.test", place.origin);
        tunnel.send(get(place.origin, "/chat",
                        kUpgrade + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"));
        CHECK(tunnel.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
        tunnel.send(say);
        if (say == "ping") CHECK(tunnel.read_exactly(4) == "pong");
        else CHECK(tunnel.read_to_end().size() <= 2);
    }
    auto http2 = place.http2();
    const auto stream = http2.new_stream();
    auto asks = place.request("GET", "/told");
    asks.emplace_back("accept-encoding", "gzip");
    http2.send_fields(stream, asks, true);
    CHECK(http2.wait_for([&] { return http2.stream(stream).ended; }));
}

std::size_t heap_in_use() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

}  // namespace

TEST_CASE("load: whatever one client floods the gateway with, an honest one is served meanwhile, and nothing stays") {
    const auto there = origin();
    for (const auto& attack : attacks()) {
        CAPTURE(attack.name);
        const ProxyGround ground(policy_for(there->port()));
        REQUIRE(served(ground, there->port()));
        std::size_t most = 0;
        {
            const Attacker attacker(attack, {ground, there->port()});
            REQUIRE(comes_true([&] { return attacker.began(); }));
            for (int i = 0; i < 20; ++i) {
                REQUIRE(served(ground, there->port()));
                most = std::max(most, ground.under_way());
            }
        }
        // Of one connection there are its hundred streams at most, and each may have one to the origin.
        CHECK(most <= 2 * 101 + 20);
        CHECK(comes_true([&] { return ground.sessions() == 0 && ground.under_way() == 0; }));
        CHECK(served(ground, there->port()));
    }
}

TEST_CASE("load: rounds of every attack, and of a secret that comes back, leave no descriptor and no memory behind") {
    const auto there = origin();
    const ProxyGround ground(policy_for(there->port()) + with_secret());
    const Place place{ground, there->port()};
    const auto round = [&] {
        for (const auto& attack : attacks()) {
            int left = 3;
            try {
                attack.run(place, [&left] { return left-- > 0; });
            } catch (const std::exception&) {
            }
        }
        use_secret(place);
        CHECK(served(ground, there->port()));
        CHECK(comes_true([&] { return ground.sessions() == 0 && ground.under_way() == 0; }));
    };
    for (int i = 0; i < 5; ++i) round();  // caches fill, pools of descriptors and memory grow to their size
    const auto descriptors = open_descriptors();
    const auto memory = heap_in_use();
    const int rounds = std::getenv("SALLYPORT_SOAK") ? std::atoi(std::getenv("SALLYPORT_SOAK")) : 15;
    for (int i = 0; i < rounds; ++i) round();
    CHECK(comes_true([&] { return open_descriptors() <= descriptors + 2; }));
    const auto grown = static_cast<long>(heap_in_use()) - static_cast<long>(memory);
    MESSAGE("after " << rounds << " rounds: " << open_descriptors() << " descriptors of " << descriptors << ", heap "
                     << grown << " bytes larger");
    CHECK(grown < 4 * 1024 * 1024);
}
