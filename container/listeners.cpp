#include "container/listeners.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <vector>

#include "gateway/base/endpoint.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

constexpr int kBacklog = 1024;
constexpr int kPortAttempts = 16;
constexpr int kKeepAliveSeconds = 30;

/// One socket to open: where its descriptor goes, and what it is.
struct Slot {
    UniqueFd& fd;
    int family;
    int type;
};

// A plain TCP socket: on an MPTCP one SO_ORIGINAL_DST fails. Without SO_REUSEPORT no program of the sandbox can listen
// on the same port beside it; SO_REUSEADDR, for TCP only, does not change that, and lets a gateway that starts again
// have its port back while connections of the one before are dying.
UniqueFd open_socket(const Slot& slot) {
    const int protocol = slot.type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
    UniqueFd fd(::socket(slot.family, slot.type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    const int on = 1;
    if (fd && slot.type == SOCK_STREAM) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd && slot.family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return fd;
}

IpAddress loopback(int family) {
    if (family == AF_INET) return IpAddress::v4({127, 0, 0, 1});
    return IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

/// Binds to the family's loopback address; returns errno, 0 when done.
int bind_loopback(int fd, int family, std::uint16_t port) {
    sockaddr_storage address;
    const auto size = Endpoint{loopback(family), port}.to_sockaddr(address);
    return ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 ? 0 : errno;
}

std::uint16_t port_of(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw system_error("cannot read the port of a listener", errno);
    return Endpoint::from_sockaddr(address).value().port;
}

// Accepted sockets inherit this. Conntrack forgets a half-closed connection that is silent for a minute, and its
// redirect with it (nf_conntrack_tcp_timeout_close_wait); the probes keep the entry alive.
void keep_alive(int fd) {
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepAliveSeconds, sizeof kKeepAliveSeconds);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepAliveSeconds, sizeof kKeepAliveSeconds);
}

/// False when the port that the kernel chose for the first socket is taken for another. `wanted` 0: the kernel chooses.
bool try_open(const std::vector<Slot>& slots, std::uint16_t wanted) {
    std::uint16_t port = wanted;
    for (const auto& slot : slots) {
        slot.fd = open_socket(slot);
        if (!slot.fd) throw system_error("cannot open a listener for the sandbox", errno);
        const int error = bind_loopback(slot.fd.get(), slot.family, port);
        if (error == EADDRINUSE && port != wanted) return false;
        if (error == EADDRINUSE && wanted != 0)
            throw StartupError("port " + std::to_string(wanted) + " of the namespace's loopback address is in use");
        if (error) throw system_error("cannot bind a listener to the sandbox's loopback address", error);
        port = port_of(slot.fd.get());
    }
    return true;
}

/// Opens all on one port number, which is returned. `wanted` 0: the kernel chooses.
std::uint16_t open_on_one_port(const std::vector<Slot>& slots, std::uint16_t wanted) {
    for (int attempt = 0; !try_open(slots, wanted); ++attempt)
        if (attempt == kPortAttempts) throw StartupError("found no port that is free for all listeners");
    for (const auto& slot : slots) {
        if (slot.type != SOCK_STREAM) continue;
        keep_alive(slot.fd.get());
        if (::listen(slot.fd.get(), kBacklog) != 0) throw system_error("cannot listen inside the sandbox", errno);
    }
    return port_of(slots.front().fd.get());
}

}  // namespace

bool namespace_has_ipv6() {
    UniqueFd fd;
    fd = open_socket({fd, AF_INET6, SOCK_STREAM});
    return fd && bind_loopback(fd.get(), AF_INET6, 0) == 0;
}

InterceptPorts open_listeners(GatewaySockets& sockets, InterceptPorts wanted) {
    std::vector<Slot> intercept{{sockets.tcp4, AF_INET, SOCK_STREAM}};
    std::vector<Slot> proxy{{sockets.proxy4, AF_INET, SOCK_STREAM}};
    std::vector<Slot> dns{{sockets.dns_udp4, AF_INET, SOCK_DGRAM}, {sockets.dns_tcp4, AF_INET, SOCK_STREAM}};
    if (namespace_has_ipv6()) {
        intercept.push_back({sockets.tcp6, AF_INET6, SOCK_STREAM});
        proxy.push_back({sockets.proxy6, AF_INET6, SOCK_STREAM});
        dns.push_back({sockets.dns_udp6, AF_INET6, SOCK_DGRAM});
        dns.push_back({sockets.dns_tcp6, AF_INET6, SOCK_STREAM});
    }
    open_on_one_port(proxy, kExplicitProxyPort);
    InterceptPorts ports;
    ports.tcp = open_on_one_port(intercept, wanted.tcp);
    ports.dns = open_on_one_port(dns, wanted.dns);
    return ports;
}

}  // namespace sallyport::container
