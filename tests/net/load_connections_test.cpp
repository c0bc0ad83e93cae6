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
#include <limits>

#include "gateway/net/descriptors.hpp"
#include "gateway/session/listener.hpp"
#include "tests/support/proxy_ground.hpp"
#include "tests/support/sanitized.hpp"

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
    void tell(const void* what, std::size_t size) {
        REQUIRE(::write(to_.get(), what, size) == static_cast<ssize_t>(size));
    }
    int hear() {
        int number = -1;
        const auto n = ::read(from_.get(), &number, sizeof number);
        return n == sizeof number ? number : -1;
    }

    void hold(int from, int to) const {
        std::uint16_t ports[2];
        std::size_t size = 0;
        if (::read(from, ports, sizeof ports) != sizeof ports || ::read(from, &size, sizeof size) != sizeof size)
            return;
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
        for (char command = 0;
             ::write(to, &number, sizeof number) == sizeof number && ::read(from, &command, 1) == 1;) {
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
    Crowd crowd(kCrowd);  // first: a fork of a process without threads
    const auto there = origin();
    ProxyGroundOptions options;
    options.most_sessions = most;
    const ProxyGround ground(policy_for(there->port()), options);
    {
        auto first = ground.tls("api.test", there->port());  // what is made once is there
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
    CHECK(open_descriptors() <= descriptors + kCrowd + 1);  // one each
    auto other = ground.tls("api.test", there->port());
    CHECK(served(other, there->port()));
    CHECK(crowd.ask() == kCrowd);  // and none of them was given up
    other.close();

    crowd.go();
    CHECK(comes_true([&] { return ground.sessions() == 0; }));
    CHECK(comes_true([&] { return open_descriptors() <= descriptors + 1; }));
}

TEST_CASE(
    "load: without a descriptor left connections wait, no processor is kept busy, and what is left to others is "
    "theirs") {
    const auto there = origin();
    const ProxyGround ground(policy_for(there->port()));
    std::vector<UniqueFd> fillers;
    auto held = ground.tls("api.test", there->port());
    held.send(get(there->port(), "/hold"));  // at work: it cannot be ended for others
    REQUIRE(comes_true([&] { return ground.under_way() == 1 && there->handshakes() == 1; }));
    WirePeer waiting(UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    const Descriptors few(open_descriptors() - 1 + net::kReservedDescriptors);
    REQUIRE_FALSE(net::descriptors_left());
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(ground.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(waiting.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const auto used = [] {  // microseconds of processor
        rusage use{};
        ::getrusage(RUSAGE_SELF, &use);
        return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1'000'000L + use.ru_utime.tv_usec + use.ru_stime.tv_usec;
    };
    waiting.send(fmt::format("CONNECT api.test:{0} HTTP/1.1\r\nHost: api.test:{0}\r\n\r\n", there->port()));
    auto least =
        std::numeric_limits<long>::max();  // in half a second; of several, since what else there is to do adds to it
    for (int i = 0; i < 5 && least >= 200'000; ++i) {
        const auto before = used();
        CHECK(waiting.silent_for(500));
        least = std::min(least, used() - before);
    }
    CHECK(least < 200'000);
    for (int i = 0; i < 200; ++i) {  // a reload, a secret's command, an administrator
        fillers.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        CHECK(fillers.back());
    }
    fillers.clear();
    held.close();  // there is room again
    CHECK(waiting.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
}
