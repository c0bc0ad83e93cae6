#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <optional>

#include "tests/netns/seal_clients.hpp"
#include "tests/support/netns_fixture.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

/// SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST: the kernel's lookup runs in the namespace of the socket, not of its holder.
std::optional<Endpoint> original_destination(int fd, int family) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    constexpr int kOriginalDst = 80;
    if (::getsockopt(fd, family == AF_INET ? SOL_IP : SOL_IPV6, kOriginalDst, &address, &size) != 0) return {};
    return Endpoint::from_sockaddr(address);
}

std::optional<Endpoint> own_end(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
    return Endpoint::from_sockaddr(address);
}

UniqueFd accept_from(const UniqueFd& listener) {
    if (!readable(listener.get())) return UniqueFd();
    return UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

/// Connects, reads until the other end closes.
std::string fetch(const std::string& address, std::uint16_t port) {
    const UniqueFd fd(::socket(family_of(address), SOCK_STREAM | SOCK_NONBLOCK, 0));
    if (connect_to(fd.get(), SocketAddress(address, port)) != 0) return "no connection";
    std::string text;
    char byte = 0;
    while (readable(fd.get()) && ::read(fd.get(), &byte, 1) == 1) text += byte;
    return text;
}

void check_reaches_gateway(const Sealed& sealed, const UniqueFd& listener, const std::string& address,
                           std::uint16_t port) {
    CAPTURE(address);
    auto client = sealed.inside.start([=] { return fetch(address, port); });
    const auto accepted = accept_from(listener);
    REQUIRE(accepted);
    const auto destination = original_destination(accepted.get(), family_of(address));
    REQUIRE(destination);
    CHECK(destination->address == IpAddress::parse(address));
    CHECK(destination->port == port);
    REQUIRE(::write(accepted.get(), "answer", 6) == 6);
    ::shutdown(accepted.get(), SHUT_WR);
    CHECK(client.get() == "answer");
}

}  // namespace

TEST_CASE("a connection to any address is accepted outside, with its original destination") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    check_reaches_gateway(*sealed, sealed->sockets.tcp4, "93.184.216.34", 443);
    check_reaches_gateway(*sealed, sealed->sockets.tcp4, "1.1.1.1", 853);
    check_reaches_gateway(*sealed, sealed->sockets.tcp4, "169.254.169.254", 80);
    check_reaches_gateway(*sealed, sealed->sockets.tcp4, "198.18.0.2", 22);
    if (!sealed->sockets.tcp6) return skip("no IPv6 in a new namespace");
    check_reaches_gateway(*sealed, sealed->sockets.tcp6, "2606:2800:220:1::1", 22);
}

TEST_CASE("the listeners of both families have one port, and accepted sockets inherit keep-alive") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    if (sealed->sockets.tcp6)
        CHECK(own_end(sealed->sockets.tcp4.get())->port == own_end(sealed->sockets.tcp6.get())->port);
    auto client = sealed->inside.start([] { return fetch("93.184.216.34", 443); });
    auto accepted = accept_from(sealed->sockets.tcp4);
    REQUIRE(accepted);
    int on = 0;
    int idle = 0;
    socklen_t size = sizeof on;
    REQUIRE(::getsockopt(accepted.get(), SOL_SOCKET, SO_KEEPALIVE, &on, &size) == 0);
    REQUIRE(::getsockopt(accepted.get(), IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size) == 0);
    CHECK(on == 1);
    CHECK(idle < 60);
    accepted.reset();
    CHECK(client.get().empty());
}

TEST_CASE("a service of the sandbox on its own loopback address stays its own") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    for (const std::string address : {"127.0.0.1", "127.8.8.8", "198.18.0.1", "::1"}) {
        if (address == "::1" && !sealed->sockets.tcp6) continue;
        CAPTURE(address);
        const bool served = sealed->inside.run([=] {
            const UniqueFd service(::socket(family_of(address), SOCK_STREAM, 0));
            const SocketAddress here(address, 8080);
            const UniqueFd client(::socket(family_of(address), SOCK_STREAM | SOCK_NONBLOCK, 0));
            if (::bind(service.get(), here.get(), here.size) != 0 || ::listen(service.get(), 1) != 0) return false;
            return connect_to(client.get(), here) == 0 && bool(accept_from(service));
        });
        CHECK(served);
        CHECK_FALSE(readable(sealed->sockets.tcp4.get(), 0));
    }
}

TEST_CASE("refused at once: a direct connection to the gateway's own port") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    const auto port = own_end(sealed->sockets.tcp4.get()).value().port;
    const auto outcome = sealed->inside.run([=] { return tcp_connect("127.0.0.1", port); });
    CHECK(outcome.error == ECONNREFUSED);
    CHECK(outcome.milliseconds < 100);
    CHECK_FALSE(readable(sealed->sockets.tcp4.get(), 0));

    const auto redirected = sealed->inside.run([=] { return tcp_connect("93.184.216.34", port); });
    CHECK(redirected.error == 0);
    CHECK(readable(sealed->sockets.tcp4.get()));
}

TEST_CASE("refused at once: any connection after the gateway closed its listener") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    CHECK(sealed->inside.run([] { return tcp_connect("93.184.216.34", 443); }).error == 0);
    sealed->sockets = {};
    for (const std::string address : {"93.184.216.34", "2606:2800:220:1::1"}) {
        const auto outcome = sealed->inside.run([=] { return tcp_connect(address, 443); });
        CHECK(outcome.error == ECONNREFUSED);
        CHECK(outcome.milliseconds < 100);
    }
}

TEST_CASE("the gateway's port cannot be taken by a program of the sandbox, not even with SO_REUSEPORT") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    const auto port = own_end(sealed->sockets.tcp4.get()).value().port;
    for (const std::string address : {"127.0.0.1", "0.0.0.0"}) {
        const int error = sealed->inside.run([=] {
            const UniqueFd squatter(::socket(AF_INET, SOCK_STREAM, 0));
            const int on = 1;
            ::setsockopt(squatter.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
            ::setsockopt(squatter.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            const SocketAddress here(address, port);
            return ::bind(squatter.get(), here.get(), here.size) == 0 ? ::listen(squatter.get(), 1) : errno;
        });
        CHECK(error == EADDRINUSE);
    }
}
