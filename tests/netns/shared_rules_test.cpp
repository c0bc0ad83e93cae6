// The rules of the shared form, both ways of telling the gateway apart: what it may, what nobody else may.
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include "container/shared.hpp"
#include "gateway/base/startup_error.hpp"
#include "netfilter/apply.hpp"
#include "tests/netns/seal_clients.hpp"
#include "tests/support/netns_fixture.hpp"
#include "tests/support/shared_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr const char* kFar4 = "203.0.113.53";
constexpr const char* kFar6 = "2001:db8::53";
constexpr const char* kNear4 = "203.0.113.1";
constexpr const char* kNear6 = "2001:db8::1";
constexpr const char* kResolver = "127.0.0.11";

constexpr ToldApartBy kBoth[] = {ToldApartBy::cgroup, ToldApartBy::user};

UniqueFd bound(const SharedGround& ground, Who who, int type, const std::string& address, std::uint16_t port) {
    auto fd = ground.socket(who, family_of(address), type);
    const SocketAddress at(address, port);
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd.get(), at.get(), at.size) != 0) throw system_error("bind " + address, errno);
    if (type == SOCK_STREAM && ::listen(fd.get(), 8) != 0) throw system_error("listen", errno);
    return fd;
}

UniqueFd accept_from(const UniqueFd& listener) {
    if (!readable(listener.get())) return UniqueFd();
    return UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

int send_to(const UniqueFd& fd, const std::string& address, std::uint16_t port, const std::string& text) {
    const SocketAddress to(address, port);
    return ::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL, to.get(), to.size) < 0 ? errno : 0;
}

struct Datagram {
    std::string text;
    Endpoint from;
};

Datagram receive(const UniqueFd& fd, int patience_ms = kPatienceMs) {
    Datagram datagram;
    if (!readable(fd.get(), patience_ms)) return datagram;
    char text[512];
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const auto got = ::recvfrom(fd.get(), text, sizeof text, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got > 0) datagram.text.assign(text, static_cast<std::size_t>(got));
    if (const auto end = Endpoint::from_sockaddr(from)) datagram.from = *end;
    return datagram;
}

void answer(const UniqueFd& server, const Datagram& question, const std::string& text) {
    CHECK(send_to(server, question.from.address.to_string(), question.from.port, text) == 0);
}

/// A question over UDP and its answer.
std::string exchange(const SharedGround& ground, Who who, const std::string& address, std::uint16_t port,
                     const UniqueFd& server) {
    const auto client = ground.socket(who, family_of(address), SOCK_DGRAM);
    if (const int error = send_to(client, address, port, "question")) return "error " + std::to_string(error);
    const auto question = receive(server);
    if (question.text.empty()) return "nothing arrived";
    answer(server, question, "answer");
    return receive(client).text;
}

/// What connect(2) comes to, for a client of theirs.
int connects(const SharedGround& ground, Who who, const std::string& address, std::uint16_t port) {
    const auto fd = ground.socket(who, family_of(address), SOCK_STREAM);
    return connect_to(fd.get(), SocketAddress(address, port));
}

/// Connects, sends, is answered.
std::string talk(const UniqueFd& client, const UniqueFd& listener, const std::string& address, std::uint16_t port) {
    if (const int error = connect_to(client.get(), SocketAddress(address, port)))
        return "error " + std::to_string(error);
    const auto server = accept_from(listener);
    if (!server) return "not accepted";
    (void)!::send(client.get(), "question", 8, MSG_NOSIGNAL);
    if (receive(server).text != "question") return "nothing arrived";
    (void)!::send(server.get(), "answer", 6, MSG_NOSIGNAL);
    return receive(client).text;
}

/// As rules of somebody else do that came before ours.
void track_connections(const SharedGround& ground) {
    using namespace netfilter;
    ground.inside([] {
        const Base base{ChainType::filter, Hook::output, -10, Policy::accept};
        apply({{Family::inet, "older", {{"out", base, {{Is::established, Verdict::accept}}}}}});
    });
}

std::vector<std::string> nothing() { return {}; }

}  // namespace

TEST_CASE("shared: the gateway reaches the outside over both families, the sandbox is refused at once") {
    for (const auto how : kBoth) {
        const auto ground = SharedGround::create(how);
        if (!ground) continue;
        CAPTURE(static_cast<int>(how));
        REQUIRE(ground->guard() == "");
        for (const auto* far : {kFar4, kFar6}) {
            CAPTURE(far);
            const auto tcp = bound(*ground, Who::far_end, SOCK_STREAM, far, 443);
            const auto udp = bound(*ground, Who::far_end, SOCK_DGRAM, far, 9953);
            CHECK(talk(ground->socket(Who::gateway, family_of(far), SOCK_STREAM), tcp, far, 443) == "answer");
            CHECK(exchange(*ground, Who::gateway, far, 9953, udp) == "answer");
            ground->outside->recorded();
            CHECK(exchange(*ground, Who::sandbox, far, 9953, udp) == "error " + std::to_string(EPERM));
            CHECK(connects(*ground, Who::sandbox, far, 443) == ECONNREFUSED);  // redirected, and nobody serves
            CHECK_FALSE(readable(tcp.get(), 0));
            CHECK(ground->outside->recorded().destinations() == nothing());
        }
    }
}

TEST_CASE("shared: connections and DNS of the sandbox reach the gateway's sockets, and are answered") {
    for (const auto how : kBoth) {
        const auto ground = SharedGround::create(how);
        if (!ground) continue;
        CAPTURE(static_cast<int>(how));
        REQUIRE(ground->guard() == "");
        ground->outside->recorded();
        for (const auto& pair : {std::pair{"127.0.0.1", "93.184.216.34"}, {"::1", "2606:2800:220:1::1"}}) {
            const auto* loopback = pair.first;
            const auto* anywhere = pair.second;
            CAPTURE(loopback);
            const auto proxy = bound(*ground, Who::gateway, SOCK_STREAM, loopback, container::kInterceptPort);
            const auto dns = bound(*ground, Who::gateway, SOCK_DGRAM, loopback, container::kDnsPort);
            const auto explicit_proxy =
                bound(*ground, Who::gateway, SOCK_STREAM, loopback, container::kExplicitProxyPort);
            const auto family = family_of(loopback);
            CHECK(talk(ground->socket(Who::sandbox, family, SOCK_STREAM), proxy, anywhere, 443) == "answer");
            CHECK(exchange(*ground, Who::sandbox, anywhere, 53, dns) == "answer");
            CHECK(talk(ground->socket(Who::sandbox, family, SOCK_STREAM), explicit_proxy, loopback,
                       container::kExplicitProxyPort) == "answer");
            CHECK(connects(*ground, Who::sandbox, loopback, container::kInterceptPort) == ECONNREFUSED);
        }
        CHECK(ground->outside->recorded().destinations() == nothing());
    }
}

TEST_CASE("shared: programs of the sandbox reach each other on every address of the namespace") {
    const auto ground = SharedGround::create(ToldApartBy::user);
    if (!ground) return;
    REQUIRE(ground->guard() == "");
    for (const auto* address : {"127.0.0.1", "::1", kNear4, kNear6}) {
        CAPTURE(address);
        const auto tcp = bound(*ground, Who::sandbox, SOCK_STREAM, address, 3000);
        const auto udp = bound(*ground, Who::sandbox, SOCK_DGRAM, address, 3000);
        CHECK(talk(ground->socket(Who::sandbox, family_of(address), SOCK_STREAM), tcp, address, 3000) == "answer");
        CHECK(exchange(*ground, Who::sandbox, address, 3000, udp) == "answer");
        CHECK(connects(*ground, Who::sandbox, address, 3001) == ECONNREFUSED);
    }
}

TEST_CASE("shared: a published port can be reached from outside, no other, and it lets nothing else out") {
    for (const auto how : kBoth) {
        const auto ground = SharedGround::create(how);
        if (!ground) continue;
        CAPTURE(static_cast<int>(how));
        REQUIRE(ground->guard({3000}) == "");
        for (const auto& pair : {std::pair{kNear4, kFar4}, {kNear6, kFar6}}) {
            const auto* near = pair.first;
            const auto* far = pair.second;
            CAPTURE(near);
            const auto family = family_of(near);
            const auto published = bound(*ground, Who::sandbox, SOCK_STREAM, near, 3000);
            const auto other = bound(*ground, Who::sandbox, SOCK_STREAM, near, 3001);
            const auto outsider = ground->socket(Who::far_end, family, SOCK_STREAM);
            const SocketAddress to(near, 3001);
            CHECK(::connect(outsider.get(), to.get(), to.size) < 0);  // under way
            const auto datagrams = bound(*ground, Who::sandbox, SOCK_DGRAM, near, 3002);
            CHECK(send_to(ground->socket(Who::far_end, family, SOCK_DGRAM), near, 3002, "in") == 0);
            CHECK(talk(ground->socket(Who::far_end, family, SOCK_STREAM), published, near, 3000) == "answer");
            CHECK_FALSE(readable(other.get(), 0));
            CHECK_FALSE(readable(datagrams.get(), 0));
            // As a source port it opens nothing.
            const auto server = bound(*ground, Who::far_end, SOCK_STREAM, far, 443);
            const auto client = ground->socket(Who::sandbox, family, SOCK_DGRAM);
            const SocketAddress from(near, 3000);
            REQUIRE(::bind(client.get(), from.get(), from.size) == 0);
            CHECK(send_to(client, far, 9, "out") == EPERM);
        }
    }
}

TEST_CASE("shared: a connection that is older than the rules is cut, whether or not it was tracked") {
    for (const bool tracked : {false, true}) {
        const auto ground = SharedGround::create(ToldApartBy::user);
        if (!ground) return;
        CAPTURE(tracked);
        if (tracked) track_connections(*ground);
        const auto listener = bound(*ground, Who::far_end, SOCK_STREAM, kFar4, 443);
        const auto client = ground->socket(Who::sandbox, AF_INET, SOCK_STREAM);
        REQUIRE(connect_to(client.get(), SocketAddress(kFar4, 443)) == 0);
        const auto server = accept_from(listener);
        REQUIRE(server);
        REQUIRE(ground->guard({}) == "");
        ground->outside->recorded();
        (void)!::send(client.get(), "secret", 6, MSG_NOSIGNAL);
        CHECK(readable(client.get()));
        CHECK(socket_error(client.get()) == ECONNRESET);
        CHECK_FALSE(readable(server.get(), 0));
        CHECK(ground->outside->recorded().destinations() == nothing());
    }
}

// The kernel goes on sending what a closed socket left behind, and then no program owns the packets.
TEST_CASE("shared: what was left to be sent when the rules came is not sent") {
    const auto ground = SharedGround::create(ToldApartBy::user);
    if (!ground) return;
    track_connections(*ground);
    const auto listener = bound(*ground, Who::far_end, SOCK_STREAM, kFar4, 443);
    const auto udp = bound(*ground, Who::far_end, SOCK_DGRAM, kFar4, 9953);
    auto client = ground->socket(Who::sandbox, AF_INET, SOCK_STREAM);
    REQUIRE(connect_to(client.get(), SocketAddress(kFar4, 443)) == 0);
    const auto server = accept_from(listener);
    REQUIRE(server);
    std::string block(65536, 'x');
    while (::send(client.get(), block.data(), block.size(), MSG_NOSIGNAL) > 0) continue;
    client.reset();
    REQUIRE(ground->guard() == "");
    ground->outside->recorded();
    while (::recv(server.get(), block.data(), block.size(), 0) > 0) continue;  // opens the window
    CHECK(exchange(*ground, Who::gateway, kFar4, 9953, udp) == "answer");
    CHECK(ground->outside->recorded().destinations() == std::vector<std::string>{"udp 203.0.113.53:9953"});
}

TEST_CASE("shared: Docker's resolver serves the gateway and is closed to the sandbox") {
    for (const auto how : kBoth) {
        const auto ground = SharedGround::create(how);
        if (!ground) continue;
        CAPTURE(static_cast<int>(how));
        // The rules that dockerd puts into a container of a network of its own.
        bool loaded = true;
        ground->inside([&] {
            loaded = ::system(
                         "printf '%s' 'table ip docker {"
                         " chain out { type nat hook output priority -100;"
                         "  ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:40053;"
                         "  ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:40054; };"
                         " chain post { type nat hook postrouting priority 100;"
                         "  ip saddr 127.0.0.11 udp sport 40053 snat to :53;"
                         "  ip saddr 127.0.0.11 tcp sport 40054 snat to :53; }; }' | nft -f -") == 0;
            if (!loaded) throw StartupError("nft");
        });
        const auto resolver_udp = bound(*ground, Who::sandbox, SOCK_DGRAM, kResolver, 40053);
        const auto resolver_tcp = bound(*ground, Who::sandbox, SOCK_STREAM, kResolver, 40054);
        const auto dns = bound(*ground, Who::gateway, SOCK_DGRAM, "127.0.0.1", container::kDnsPort);
        REQUIRE(ground->guard() == "");
        CHECK(exchange(*ground, Who::gateway, kResolver, 53, resolver_udp) == "answer");
        CHECK(talk(ground->socket(Who::gateway, AF_INET, SOCK_STREAM), resolver_tcp, kResolver, 53) == "answer");
        CHECK(exchange(*ground, Who::sandbox, kResolver, 53, dns) == "answer");
        CHECK(exchange(*ground, Who::sandbox, kResolver, 40053, resolver_udp) == "error " + std::to_string(EPERM));
        CHECK(connects(*ground, Who::sandbox, kResolver, 40054) == ECONNREFUSED);
        CHECK(ground->attack("resolver", NetRaw::dropped)->finish() == "");
        CHECK_FALSE(readable(resolver_udp.get(), 0));
        CHECK_FALSE(readable(resolver_tcp.get(), 0));
    }
}

TEST_CASE("shared: to Docker's resolver goes nothing that no program is known of") {
    const auto ground = SharedGround::create(ToldApartBy::user);
    if (!ground) return;
    const auto resolver = bound(*ground, Who::sandbox, SOCK_STREAM, kResolver, 40054);
    auto client = ground->socket(Who::sandbox, AF_INET, SOCK_STREAM);
    REQUIRE(connect_to(client.get(), SocketAddress(kResolver, 40054)) == 0);
    const auto server = accept_from(resolver);
    REQUIRE(server);
    std::string block(65536, 'x');
    while (::send(client.get(), block.data(), block.size(), MSG_NOSIGNAL) > 0) continue;
    client.reset();
    REQUIRE(ground->guard() == "");
    while (::recv(server.get(), block.data(), block.size(), 0) > 0) continue;  // opens the window
    CHECK_FALSE(readable(server.get(), 300));
}

TEST_CASE(
    "shared: the gateway's ports are opened again while connections to the last gateway are dying, and never twice") {
    const auto ground = SharedGround::create(ToldApartBy::user);
    if (!ground) return;
    ground->inside([&] {
        container::guard_shared_namespace({container::ExemptUser{SharedGround::kGatewayUser}, {}});
        auto sockets = container::open_shared_sockets();
        if (!sockets.tcp6 || !sockets.dns_udp6 || !sockets.proxy6 || !sockets.packet_log)
            throw StartupError("incomplete");
        const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const SocketAddress anywhere("93.184.216.34", 443);
        if (::connect(client.get(), anywhere.get(), anywhere.size) != 0) throw system_error("connect", errno);
        UniqueFd accepted(::accept4(sockets.tcp4.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!accepted) throw system_error("accept", errno);
        try {
            container::open_shared_sockets();
            throw std::logic_error("taken twice");
        } catch (const StartupError& error) {
            if (std::string(error.what()).find("port 15080") == std::string::npos) throw;
        }
        accepted.reset();  // closes first: its end waits with our port
        sockets = {};
        sockets = container::open_shared_sockets();
    });
}

TEST_CASE("shared: a gateway that cannot be told apart is told so, and then nobody gets out") {
    const auto ground = SharedGround::create(ToldApartBy::cgroup);
    if (!ground) return;
    REQUIRE(ground->guard({3000}) == "");
    const auto udp = bound(*ground, Who::far_end, SOCK_DGRAM, kFar4, 9953);
    REQUIRE(exchange(*ground, Who::gateway, kFar4, 9953, udp) == "answer");
    const auto error_of = [&](container::Exemption exempt) -> std::string {
        try {
            ground->inside([&] { container::guard_shared_namespace({exempt, {3000}}); });
        } catch (const std::runtime_error& error) {
            return error.what();
        }
        return "";
    };
    CHECK(error_of(container::ExemptUser{0}).find("user 0") != std::string::npos);
    CHECK(exchange(*ground, Who::gateway, kFar4, 9953, udp) == "error " + std::to_string(EPERM));
    CHECK(exchange(*ground, Who::sandbox, kFar4, 9953, udp) == "error " + std::to_string(EPERM));
    REQUIRE(ground->guard() == "");
    CHECK(exchange(*ground, Who::gateway, kFar4, 9953, udp) == "answer");
    const auto in_root = error_of(container::ExemptCgroup{});
    if (in_root.empty()) return;  // this test runs in a cgroup itself
    CHECK(in_root.find("root cgroup") != std::string::npos);
    CHECK(exchange(*ground, Who::gateway, kFar4, 9953, udp) == "error " + std::to_string(EPERM));
    CHECK(connects(*ground, Who::sandbox, kFar4, 443) == ECONNREFUSED);
}

TEST_CASE("shared: rules that are taken away leave nothing behind, and nothing else is touched") {
    const auto ground = SharedGround::create(ToldApartBy::user);
    if (!ground) return;
    using namespace netfilter;
    const auto udp = bound(*ground, Who::far_end, SOCK_DGRAM, kFar4, 9953);
    const auto tcp = bound(*ground, Who::far_end, SOCK_STREAM, kFar6, 443);
    const Base refusing{ChainType::filter, Hook::output, -10, Policy::accept};
    ground->inside([&] {
        apply({{Family::inet, "others", {{"out", refusing, {{DestinationPort{IPPROTO_UDP, 9954}, Verdict::drop}}}}}});
        container::unguard_shared_namespace();  // of nothing
    });
    for (int time = 0; time < 2; ++time) {
        REQUIRE(ground->guard({3000}) == "");
        CHECK(exchange(*ground, Who::sandbox, kFar4, 9953, udp) == "error " + std::to_string(EPERM));
        ground->inside([] {
            container::unguard_shared_namespace();
            container::unguard_shared_namespace();
        });
        CHECK(exchange(*ground, Who::sandbox, kFar4, 9953, udp) == "answer");
        CHECK(talk(ground->socket(Who::sandbox, AF_INET6, SOCK_STREAM), tcp, kFar6, 443) == "answer");
        CHECK(exchange(*ground, Who::sandbox, kFar4, 9954, udp) == "error " + std::to_string(EPERM));
    }
}
