#include <doctest/doctest.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "tests/netns/seal_clients.hpp"
#include "tests/support/netns_fixture.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

/// The answer to an unconnected UDP query, and who sent it: "answer from 8.8.8.8:53".
std::string ask_udp(const std::string& server) {
    const UniqueFd fd(::socket(family_of(server), SOCK_DGRAM, 0));
    const SocketAddress to(server, 53);
    if (::sendto(fd.get(), "query", 5, 0, to.get(), to.size) != 5) return "not sent";
    if (!readable(fd.get())) return "no answer";
    std::array<char, 64> text{};
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const auto n = ::recvfrom(fd.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    return n < 0 ? "error" : std::string(text.data()) + " from " + Endpoint::from_sockaddr(from)->to_string();
}

std::string ask_tcp(const std::string& server) {
    const UniqueFd fd(::socket(family_of(server), SOCK_STREAM | SOCK_NONBLOCK, 0));
    if (connect_to(fd.get(), SocketAddress(server, 53)) != 0) return "no connection";
    if (::write(fd.get(), "query", 5) != 5 || !readable(fd.get())) return "no answer";
    std::array<char, 64> text{};
    return ::read(fd.get(), text.data(), text.size()) > 0 ? text.data() : "no answer";
}

/// The gateway's side of ask_udp().
bool answer_udp(const UniqueFd& dns) {
    if (!readable(dns.get())) return false;
    std::array<char, 64> text{};
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const auto* peer = reinterpret_cast<sockaddr*>(&from);
    if (::recvfrom(dns.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&from), &size) != 5)
        return false;
    return std::string(text.data()) == "query" && ::sendto(dns.get(), "answer", 6, 0, peer, size) == 6;
}

bool answer_tcp(const UniqueFd& dns) {
    if (!readable(dns.get())) return false;
    const UniqueFd client(::accept4(dns.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, 64> text{};
    if (!client || !readable(client.get()) || ::read(client.get(), text.data(), text.size()) != 5) return false;
    return ::write(client.get(), "answer", 6) == 6;
}

void check_answered(const Sealed& sealed, const std::string& server) {
    CAPTURE(server);
    const bool v4 = family_of(server) == AF_INET;
    auto udp = sealed.inside.start([=] { return ask_udp(server); });
    CHECK(answer_udp(v4 ? sealed.sockets.dns_udp4 : sealed.sockets.dns_udp6));
    CHECK(udp.get() == "answer from " + Endpoint{IpAddress::parse(server).value(), 53}.to_string());
    auto tcp = sealed.inside.start([=] { return ask_tcp(server); });
    CHECK(answer_tcp(v4 ? sealed.sockets.dns_tcp4 : sealed.sockets.dns_tcp6));
    CHECK(tcp.get() == "answer");
    CHECK_FALSE(readable(sealed.sockets.tcp4.get(), 0));
}

}  // namespace

TEST_CASE("DNS comes to the gateway whatever server was asked, and the answer seems to come from that server") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    for (const auto* server : {"8.8.8.8", "127.0.0.53", "127.0.0.11", "127.0.0.1", "198.18.0.1"})
        check_answered(*sealed, server);
    if (!sealed->sockets.dns_udp6) return skip("no IPv6 in a new namespace");
    check_answered(*sealed, "2001:4860:4860::8888");
    check_answered(*sealed, "::1");
}

TEST_CASE("refused at once: DNS after the gateway closed its sockets") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    sealed->sockets = {};
    CHECK(sealed->inside.run([] { return tcp_connect("8.8.8.8", 53); }).error == ECONNREFUSED);
    const int error = sealed->inside.run([] {
        const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM, 0));
        const SocketAddress to("8.8.8.8", 53);
        if (::connect(fd.get(), to.get(), to.size) != 0 || ::send(fd.get(), "query", 5, 0) != 5) return errno;
        return readable(fd.get()) ? socket_error(fd.get()) : ETIMEDOUT;
    });
    CHECK(error == ECONNREFUSED);
}

TEST_CASE("AI_ADDRCONFIG finds an address to work with") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    const int result = sealed->inside.run([] {
        addrinfo hints{};
        hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
        hints.ai_family = AF_INET;
        addrinfo* found = nullptr;
        const int error = ::getaddrinfo("93.184.216.34", "443", &hints, &found);
        if (found) ::freeaddrinfo(found);
        return error;
    });
    CHECK(result == 0);
}
