// Connections by the thousand, and more than there may be: who stays, who goes, who is served meanwhile.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <semaphore>

#include "gateway/net/descriptors.hpp"
#include "gateway/session/listener.hpp"
#include "tests/support/proxy_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;   // slower, and memory is not what it is
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

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
                if (!head.starts_with("GET /hold "))
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        },
        testing::make_server(ProxyGround::origin_ca().good("api.test")), WireOrigin::Serving::side_by_side);
}

bool served(WirePeer& client, std::uint16_t port) {
    client.send(get(port));
    return client.read_message().ends_with("hello");
}

/// Another process, whose descriptors are not ours: it holds so many intercepted connections, each after a request.
class Crowd {
public:
    explicit Crowd(int connections) : connections_(connections) {
        int there[2], here[2];
        REQUIRE(::pipe(there) == 0);
        REQUIRE(::pipe(here) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(there[1]);
            ::close(here[0]);
            try {
                hold(there[0], here[1]);
            } catch (const std::exception& failed) {
                fmt::print(stderr, "the crowd: {}\n", failed.what());
            }
            ::_exit(0);
        }
        to_ = UniqueFd(there[1]);
        from_ = UniqueFd(here[0]);
        ::close(there[0]);
        ::close(here[1]);
    }
    ~Crowd() { go(); }
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;

    /// Each connects, asks once and is answered. How many did.
    int come(const ProxyGround& ground, std::uint16_t origin_port) {
        const std::uint16_t ports[] = {ground.port(), origin_port};
        tell(ports, sizeof ports);
        const auto size = ground.ca_pem().size();
        tell(&size, sizeof size);
        tell(ground.ca_pem().data(), size);
        return hear();
    }
    /// Each asks again on its connection. How many were answered.
    int ask() {
        tell("a", 1);
        return hear();
    }

    void go() {
        if (pid_ < 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(std::exchange(pid_, -1), nullptr, 0);
    }

private:
    void tell(const void* what, std::size_t size) { REQUIRE(::write(to_.get(), what, size) == static_cast<ssize_t>(size)); }
    int hear() {
        int number = -1;
        const auto n = ::read(from_.get(), &number, sizeof number);
        return n == sizeof number ? number : -1;
    }

    void hold(int from, int to) const {
        std::uint16_t ports[2];
        std::size_t size = 0;
        if (::read(from, ports, sizeof ports) != sizeof ports || ::read(from, &size, sizeof size) != sizeof size) return;
        std::string pem(size, 0);
        if (::read(from, pem.data(), size) != static_cast<ssize_t>(size)) return;
        const auto context = client_context(pem);
        std::vector<WirePeer> peers;
        for (int i = 0; i < connections_; ++i) {
            WirePeer peer(connect_to_loopback(ports[0]));
            if (!open_tunnel(peer, "api.test", ports[1])) break;
            if (!peer.start_tls(client_ssl(context, "api.test", "http/1.1")).empty() || !served(peer, ports[1])) break;
            peers.push_back(std::move(peer));
        }
        auto number = static_cast<int>(peers.size());
        for (char command = 0; ::write(to, &number, sizeof number) == sizeof number && ::read(from, &command, 1) == 1;) {
            number = 0;
            for (auto& peer : peers) number += served(peer, ports[1]);
        }
    }

    const int connections_;
    pid_t pid_ = -1;
    UniqueFd to_, from_;
};

/// The limit of descriptors as a test wants it, until it ends.
class Descriptors {
public:
    explicit Descriptors(rlim_t most) {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        const rlimit now{std::min(most, before_.rlim_max), before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &now) == 0);
    }
    ~Descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    Descriptors(const Descriptors&) = delete;
    Descriptors& operator=(const Descriptors&) = delete;

private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("load: how many connections may be open follows from the descriptors that there may be") {
    using session::Sessions;
    CHECK(Sessions::most_of(1024) == 512);
    CHECK(Sessions::most_of(20'000) > 10'000);
    CHECK(Sessions::most_of(1'048'576) == Sessions::kMost);
    CHECK(Sessions::most_of(100) > 0);
    CHECK(Sessions::most_of(0) > 0);
}

TEST_CASE("load: ten thousand idle intercepted connections are held, others are served meanwhile, and all comes back") {
    constexpr int kCrowd = kSanitized ? 500 : 10'000;
    const Descriptors all(1'000'000);
    const auto most = session::Sessions::most_of(net::most_descriptors());
    if (most < kCrowd) {
        MESSAGE("skipped: RLIMIT_NOFILE leaves room for " << most << " connections only");
        CHECK(std::getenv("CI") == nullptr);
        return;
    }
    Crowd crowd(kCrowd);   // first: a fork of a process without threads
    const auto there = origin();
    ProxyGroundOptions options;
    options.most_sessions = most;
    const ProxyGround ground(policy_for(there->port()), options);
    {
        auto first = ground.tls("api.test", there->port());   // what is made once is there
        REQUIRE(served(first, there->port()));
    }
    REQUIRE(comes_true([&] { return ground.sessions() == 0; }));
    const auto descriptors = open_descriptors();
    const auto memory = resident_bytes();

    REQUIRE(crowd.come(ground, there->port()) == kCrowd);
    CHECK(ground.sessions() == kCrowd);
    const auto each = (resident_bytes() - memory) / kCrowd;
    MESSAGE("an idle intercepted connection takes " << each << " bytes");
    if (!kSanitized) CHECK(each < 48 * 1024);
    CHECK(open_descriptors() <= descriptors + kCrowd + 1);   // one each
    auto other = ground.tls("api.test", there->port());
    CHECK(served(other, there->port()));
    CHECK(crowd.ask() == kCrowd);   // and none of them was given up
    other.close();

    crowd.go();
    CHECK(comes_true([&] { return ground.sessions() == 0; }));
    CHECK(comes_true([&] { return open_descriptors() <= descriptors + 1; }));
}

namespace {

/// Every way to keep the gateway waiting: what a client says before it falls silent.
struct Silence {
    std::string phase;
    std::function<WirePeer(const ProxyGround&, std::uint16_t port)> begin;
};

std::string http2_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, const std::string& payload) {
    std::string out{0, static_cast<char>(payload.size() >> 8), static_cast<char>(payload.size()), static_cast<char>(type),
                    static_cast<char>(flags), 0, 0, 0, static_cast<char>(stream)};
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
        return [said](const ProxyGround& ground, std::uint16_t) {   // on 443 every client begins
            auto peer = ground.tunnel("api.test", 443);
            peer.send(said);
            return peer;
        };
    };
    static const std::vector<Silence> kSilences{
        {"nothing", [](const ProxyGround& ground, std::uint16_t) { return ground.connect(); }},
        {"the head of CONNECT",
         [](const ProxyGround& ground, std::uint16_t) {
             auto peer = ground.connect();
             peer.send("CONNECT api.test:1 HTTP/1.1\r\nHo");
             return peer;
         }},
        {"nothing in a tunnel", inside("")},
        {"a byte of a hello", inside("\x16")},
        {"half of a hello", inside(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11))},
        {"a hello, and no answer to the server's",
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
        {"nothing under TLS", tls("http/1.1", "")},
        {"half of a head", tls("http/1.1", "GET / HTTP/1.1\r\nHost: a")},
        {"nothing after an answer",
         [](const ProxyGround& ground, std::uint16_t port) {
             auto peer = ground.tls("api.test", port);
             served(peer, port);
             return peer;
         }},
        {"half of a preface", tls("h2", kPreface.substr(0, 10))},
        {"a preface", tls("h2", kPreface)},
        {"settings, no request", tls("h2", kPreface + http2_frame(4, 0, 0, ""))},
        {"a header block without its end", tls("h2", kPreface + http2_frame(4, 0, 0, "") + http2_frame(1, 0, 1, "\x82"))},
        {"half of a frame", tls("h2", kPreface + http2_frame(4, 0, 0, "") + std::string("\0\0\10", 3))},
    };
    return kSilences;
}

session::TimeLimits short_limits() {
    session::TimeLimits limits;
    limits.hello = limits.head = limits.keep_alive = limits.connect = limits.exchange = std::chrono::seconds(1);
    return limits;
}

}  // namespace

TEST_CASE("slowloris: in whatever phase a client falls silent, it is cut at that phase's time limit") {
    const auto there = origin();
    const ProxyGround ground(policy_for(there->port()), {short_limits()});
    std::vector<std::pair<std::string, WirePeer>> slow;
    for (const auto& silence : silences()) slow.emplace_back(silence.phase, silence.begin(ground, there->port()));
    for (auto& [phase, peer] : slow) {
        CAPTURE(phase);
        CHECK_NOTHROW(peer.read_to_end());   // ends, before the patience of tests does
    }
    CHECK(comes_true([&] { return ground.sessions() == 0; }));
    auto honest = ground.tls("api.test", there->port());
    CHECK(served(honest, there->port()));
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
    const ProxyGround ground(policy_for(there.port()), {short_limits()});
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

TEST_CASE("load: at the bound the connection goes whose client has kept us waiting; who asks is served, who is served stays") {
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

TEST_CASE("load: without a descriptor left connections wait, no processor is kept busy, and what is left to others is theirs") {
    const auto there = origin();
    const ProxyGround ground(policy_for(there->port()));
    std::vector<UniqueFd> fillers;
    auto held = ground.tls("api.test", there->port());
    held.send(get(there->port(), "/hold"));   // at work: it cannot be ended for others
    REQUIRE(comes_true([&] { return ground.under_way() == 1 && there->handshakes() == 1; }));
    WirePeer waiting(UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    const Descriptors few(open_descriptors() - 1 + net::kReservedDescriptors);
    REQUIRE_FALSE(net::descriptors_left());
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(ground.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(waiting.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    rusage before{}, after{};
    ::getrusage(RUSAGE_SELF, &before);
    waiting.send(fmt::format("CONNECT api.test:{0} HTTP/1.1\r\nHost: api.test:{0}\r\n\r\n", there->port()));
    CHECK(waiting.silent_for(500));
    ::getrusage(RUSAGE_SELF, &after);
    const auto micros = [](const rusage& use) {
        return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1'000'000L + use.ru_utime.tv_usec + use.ru_stime.tv_usec;
    };
    CHECK(micros(after) - micros(before) < 200'000);
    for (int i = 0; i < 200; ++i) {   // a reload, a secret's command, an administrator
        fillers.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        CHECK(fillers.back());
    }
    fillers.clear();
    held.close();   // there is room again
    CHECK(waiting.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
}
