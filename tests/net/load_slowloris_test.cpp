// Clients that keep the gateway waiting, in every phase that a connection has.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <semaphore>

#include "tests/support/proxy_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

std::string policy_for(std::uint16_t port) {
    return fmt::format("[[allow]]\nhost = \"api.test\"\nport = [443, {}]\nprivate = true\n", port);
}

std::string get(std::uint16_t port, const std::string& path = "/") {
    return fmt::format("GET {} HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", path, port);
}

/// Answers every request but those for /hold, over TLS.
std::unique_ptr<WireOrigin> origin() {
    return std::make_unique<WireOrigin>(
        [](WirePeer& peer) {
            for (std::string head; !(head = peer.read_message()).empty();)
                if (!head.starts_with("GET /hold ")) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        },
        testing::make_server(ProxyGround::origin_ca().good("api.test")), WireOrigin::Serving::side_by_side);
}

bool served(WirePeer& client, std::uint16_t port) {
    client.send(get(port));
    return client.read_message().ends_with("hello");
}

using session::TimeLimits;

/// Every way to keep the gateway waiting: what a client says before it falls silent, and what time it has then.
struct Silence {
    std::string phase;
    std::chrono::seconds TimeLimits::*limit;
    std::function<WirePeer(const ProxyGround&, std::uint16_t port)> begin;
};

std::string http2_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, const std::string& payload) {
    std::string out{0,
                    static_cast<char>(payload.size() >> 8),
                    static_cast<char>(payload.size()),
                    static_cast<char>(type),
                    static_cast<char>(flags),
                    0,
                    0,
                    0,
                    static_cast<char>(stream)};
    return out + payload;
}

const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const std::vector<Silence>& silences() {
    const auto tls = [](std::string protocol, std::string said) {
        return [protocol, said](const ProxyGround& ground, std::uint16_t port) {
            auto peer = ground.tls("api.test", port, protocol);
            peer.send(said);
            return peer;
        };
    };
    const auto inside = [](std::string said) {
        return [said](const ProxyGround& ground, std::uint16_t) {  // on 443 every client begins
            auto peer = ground.tunnel("api.test", 443);
            peer.send(said);
            return peer;
        };
    };
    static const std::vector<Silence> kSilences{
        {"nothing", &TimeLimits::hello, [](const ProxyGround& ground, std::uint16_t) { return ground.connect(); }},
        {"the head of CONNECT", &TimeLimits::head,
         [](const ProxyGround& ground, std::uint16_t) {
             auto peer = ground.connect();
             peer.send("CONNECT api.test:1 HTTP/1.1\r\nHo");
             return peer;
         }},
        {"nothing in a tunnel", &TimeLimits::hello, inside("")},
        {"a byte of a hello", &TimeLimits::hello, inside("\x16")},
        {"half of a hello", &TimeLimits::hello,
         inside(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11))},
        {"a hello, and no answer to the server's", &TimeLimits::hello,
         [](const ProxyGround& ground, std::uint16_t port) {
             auto peer = ground.tunnel("api.test", port);
             auto ssl = client_ssl(client_context(ground.ca_pem()), "api.test", "http/1.1");
             SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
             SSL_do_handshake(ssl.get());
             char* data = nullptr;
             const long size = BIO_get_mem_data(SSL_get_wbio(ssl.get()), &data);
             peer.send({data, static_cast<std::size_t>(size)});
             return peer;
         }},
        {"nothing under TLS", &TimeLimits::hello, tls("http/1.1", "")},
        {"half of a head", &TimeLimits::head, tls("http/1.1", "GET / HTTP/1.1\r\nHost: a")},
        {"nothing after an answer", &TimeLimits::keep_alive,
         [](const ProxyGround& ground, std::uint16_t port) {
             auto peer = ground.tls("api.test", port);
             served(peer, port);
             return peer;
         }},
        {"half of a preface", &TimeLimits::keep_alive, tls("h2", kPreface.substr(0, 10))},
        {"a preface", &TimeLimits::keep_alive, tls("h2", kPreface)},
        {"settings, no request", &TimeLimits::keep_alive, tls("h2", kPreface + http2_frame(4, 0, 0, ""))},
        {"a header block without its end", &TimeLimits::head,
         tls("h2", kPreface + http2_frame(4, 0, 0, "") + http2_frame(1, 0, 1, "\x82"))},
        {"half of a frame", &TimeLimits::keep_alive,
         tls("h2", kPreface + http2_frame(4, 0, 0, "") + std::string("\0\0\10", 3))},
    };
    return kSilences;
}

/// All but this one leave a slow machine its time.
TimeLimits limits_with_short(std::chrono::seconds TimeLimits::*limit) {
    const std::chrono::seconds plenty(60);
    TimeLimits limits;
    limits.hello = limits.head = limits.keep_alive = limits.connect = limits.exchange = plenty;
    limits.*limit = std::chrono::seconds(2);
    return limits;
}

}  // namespace

TEST_CASE("slowloris: in whatever phase a client falls silent, it is cut at that phase's time limit") {
    const auto there = origin();
    for (const auto limit : {&TimeLimits::hello, &TimeLimits::head, &TimeLimits::keep_alive}) {
        const ProxyGround ground(policy_for(there->port()), {limits_with_short(limit)});
        std::vector<std::pair<std::string, WirePeer>> slow;
        for (const auto& silence : silences())
            if (silence.limit == limit) slow.emplace_back(silence.phase, silence.begin(ground, there->port()));
        for (auto& client : slow) {
            CAPTURE(client.first);
            CHECK_NOTHROW(client.second.read_to_end());  // ends, before the patience of tests does
        }
        CHECK(comes_true([&] { return ground.sessions() == 0; }));
        auto honest = ground.tls("api.test", there->port());
        CHECK(served(honest, there->port()));
    }
}

TEST_CASE("slowloris: a request's body that stops, and an answer that nobody reads, end at the time limit") {
    WireOrigin there(
        [](WirePeer& peer) {
            if (!peer.read_until("\r\n\r\n").starts_with("GET ")) return (void)peer.read_to_end();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
            const std::string block(65536, 'x');
            while (peer.send(block)) {
            }
        },
        testing::make_server(ProxyGround::origin_ca().good("api.test")), WireOrigin::Serving::side_by_side);
    const ProxyGround ground(policy_for(there.port()), {limits_with_short(&TimeLimits::exchange)});
    const auto host = fmt::format("Host: api.test:{}\r\n", there.port());
    auto body = ground.tls("api.test", there.port());
    body.send("POST / HTTP/1.1\r\n" + host + "Content-Length: 100\r\n\r\nhalf");
    auto unread = ground.tls("api.test", there.port());
    unread.send("GET / HTTP/1.1\r\n" + host + "\r\n");
    auto unread2 = ground.tls("api.test", there.port(), "h2");
    const std::string all("\x7f\xff\xff\xff", 4), settings = std::string("\0\4", 2) + all;
    const auto authority = fmt::format("api.test:{}", there.port());
    const auto block = std::string("\x82\x84\x87\x01", 4) + static_cast<char>(authority.size()) + authority;
    unread2.send(kPreface + http2_frame(4, 0, 0, settings) + http2_frame(8, 0, 0, "\x7f\xfe\x01\x01") +
                 http2_frame(1, 5, 1, block));
    CHECK(comes_true([&] { return ground.sessions() == 0; }));
    CHECK(body.read_to_end().starts_with("HTTP/1.1 408 "));
}

TEST_CASE(
    "load: at the bound the connection goes whose client has kept us waiting; who asks is served, who is served "
    "stays") {
    constexpr std::size_t kMost = 40;
    std::binary_semaphore release(0);
    WireOrigin there(
        [&](WirePeer& peer) {
            for (std::string head; !(head = peer.read_message()).empty();) {
                if (head.starts_with("GET /hold ")) release.try_acquire_for(std::chrono::seconds(60));
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
            }
        },
        testing::make_server(ProxyGround::origin_ca().good("api.test")), WireOrigin::Serving::side_by_side);
    const ProxyGround ground(policy_for(there.port()), {{}, kMost});
    auto held = ground.tls("api.test", there.port());
    held.send(get(there.port(), "/hold"));
    std::vector<WirePeer> slow;
    for (int i = 0; i < 4; ++i)
        for (const auto& silence : silences()) {
            CAPTURE(silence.phase);
            slow.push_back(silence.begin(ground, there.port()));
        }
    CHECK(comes_true([&] { return ground.sessions() == kMost; }));
    for (int i = 0; i < 10; ++i) {
        auto honest = ground.tls("api.test", there.port());
        REQUIRE(served(honest, there.port()));
        CHECK(ground.sessions() <= kMost);
    }
    CHECK_FALSE(held.has_input());
    release.release();
    CHECK(held.read_message().ends_with("hello"));
    slow.clear();
    held.close();
    CHECK(comes_true([&] { return ground.sessions() == 0; }));
}
