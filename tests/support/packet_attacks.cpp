#include "tests/support/packet_attacks.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "gateway/base/unique_fd.hpp"
#include "tests/support/outside_recorder.hpp"

namespace sallyport::test {
namespace {

constexpr int kMptcp = 262, kUdpLite = 136, kTransparent6 = 75;
using Prepare = std::function<bool(int)>;

bool prepared(int) {
    return true;
}

template <class T>
bool set(int fd, int level, int option, const T& value) {
    return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

template <class Address>
bool send_from(int type, int protocol, const Address& to, const std::string& data, const Prepare& prepare = prepared,
               int flags = 0) {
    const auto* plain = reinterpret_cast<const sockaddr*>(&to);
    const UniqueFd fd(::socket(plain->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (!fd || !prepare(fd.get())) return false;
    const int on = 1;
    if (type == SOCK_DGRAM) set(fd.get(), SOL_SOCKET, SO_BROADCAST, on);
    return ::sendto(fd.get(), data.data(), data.size(), flags | MSG_NOSIGNAL, plain, sizeof to) >= 0 ||
           errno == EINPROGRESS;
}

template <class Address>
bool connect_from(int protocol, const Address& to, const Prepare& prepare = prepared) {
    const auto* plain = reinterpret_cast<const sockaddr*>(&to);
    const UniqueFd fd(::socket(plain->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (!fd || !prepare(fd.get())) return false;
    const bool begun = ::connect(fd.get(), plain, sizeof to) == 0 || errno == EINPROGRESS;
    (void)!::send(fd.get(), "escape", 6, MSG_NOSIGNAL);
    return begun;
}

std::vector<std::string> interfaces() {
    const std::unique_ptr<struct if_nameindex, decltype(&if_freenameindex)> list(::if_nameindex(), if_freenameindex);
    std::vector<std::string> names;
    for (auto* entry = list.get(); entry && entry->if_index; ++entry) names.emplace_back(entry->if_name);
    return names;
}

/// On every interface; true when one of them took it.
bool on_each_interface(const std::function<bool(const std::string&)>& attack) {
    bool sent = false;
    for (const auto& name : interfaces()) sent = attack(name) || sent;
    return sent;
}

sockaddr_in address4(const char* text, std::uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    ::inet_pton(AF_INET, text, &to.sin_addr);
    return to;
}

sockaddr_in6 address6(const char* text, std::uint16_t port, const std::string& interface = {}) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    to.sin6_scope_id = interface.empty() ? 0 : ::if_nametoindex(interface.c_str());
    ::inet_pton(AF_INET6, text, &to.sin6_addr);
    return to;
}

std::string filled(std::uint8_t number, std::size_t size = 64) {
    std::string data = marker(number);
    data.resize(size, 'x');
    return data;
}

/// A whole packet. `source` is not ours.
std::string ip_packet(std::uint8_t number, std::uint8_t protocol, std::uint16_t fragment) {
    const auto to = target4(number, 0);
    const auto from = address4("192.0.2.9", 0);
    ip header{};
    header.ip_v = 4;
    header.ip_hl = 5;
    header.ip_len = htons(20 + 64);
    header.ip_id = htons(number);
    header.ip_off = htons(fragment);
    header.ip_ttl = 64;
    header.ip_p = protocol;
    header.ip_src = from.sin_addr;
    header.ip_dst = to.sin_addr;
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < sizeof header; i += 2) {
        std::uint16_t word = 0;
        std::memcpy(&word, reinterpret_cast<const char*>(&header) + i, sizeof word);
        sum += word;
    }
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    header.ip_sum = static_cast<std::uint16_t>(~sum);
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) + filled(number);
}

bool raw_packet(std::uint8_t number, std::uint8_t protocol, std::uint16_t fragment = 0) {
    return send_from(SOCK_RAW, IPPROTO_RAW, target4(number, 0), ip_packet(number, protocol, fragment));
}

bool raw_protocol(std::uint8_t number, int protocol) {
    return send_from(SOCK_RAW, protocol, target4(number, 0), filled(number));
}

/// A frame past the protocol stack, from a station that is not ours.
bool frame(const std::string& interface, std::uint16_t ethertype, const std::string& payload, bool bypass = false) {
    const UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    to.sll_halen = 6;
    std::memset(to.sll_addr, 0xff, 6);
    if (!fd || (bypass && !set(fd.get(), SOL_PACKET, PACKET_QDISC_BYPASS, 1))) return false;
    std::string all = std::string(6, '\xff') + "\x02\x5a\x11\x70\x00\x01" + static_cast<char>(ethertype >> 8) +
                      static_cast<char>(ethertype & 0xff) + payload;
    // To lo a broadcast is nobody's packet; this is its own address.
    if (interface == "lo") all.replace(0, 6, 6, '\0');
    return ::sendto(fd.get(), all.data(), all.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) > 0;
}

template <class T>
Prepare with(int level, int option, T value) {
    return [=](int fd) { return set(fd, level, option, value); };
}

Prepare bound_to(const std::string& interface) {
    return [=](int fd) {
        return ::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.data(),
                            static_cast<socklen_t>(interface.size())) == 0;
    };
}

Prepare source_route(std::uint8_t number) {
    return [=](int fd) {
        const std::string options = std::string("\x83\x07\x04", 3) + marker(number) + '\0';
        return ::setsockopt(fd, IPPROTO_IP, IP_OPTIONS, options.data(), static_cast<socklen_t>(options.size())) == 0;
    };
}

/// An address that is none of ours.
bool foreign_source(int fd) {
    const auto from = address4("192.0.2.9", 0);
    return set(fd, IPPROTO_IP, IP_TRANSPARENT, 1) &&
           ::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0;
}

constexpr std::array<std::uint8_t, 8> kPadding = {IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0};

const std::vector<PacketAttack> kAttacks = {
    {1, "tcp", false, [] { return connect_from(0, target4(1, 443)); }},
    {2, "tcp over IPv6", false, [] { return connect_from(0, target6(2, 443)); }},
    {3, "tcp to a mapped address", false, [] { return connect_from(0, address6("::ffff:198.51.100.3", 443)); }},
    {4, "udp", false, [] { return send_udp(target4(4, 9), filled(4)); }},
    {5, "udp over IPv6", false, [] { return send_from(SOCK_DGRAM, 0, target6(5, 9), filled(5)); }},
    {6, "udp to port 53, no DNS", false, [] { return send_udp(target4(6, 53), filled(6)); }},
    {7, "tcp to port 53", false, [] { return connect_from(0, target4(7, 53)); }},
    {8, "quic", false, [] { return send_udp(target4(8, 443), "\xc0" + filled(8, 1199)); }},
    {9, "fast open", false,
     [] { return send_from(SOCK_STREAM, 0, target4(9, 443), filled(9), prepared, MSG_FASTOPEN); }},
    {10, "mptcp", false, [] { return connect_from(kMptcp, target4(10, 443)); }},
    {11, "udp-lite", false, [] { return send_from(SOCK_DGRAM, kUdpLite, target4(11, 9), filled(11)); }},
    {12, "broadcast", false, [] { return send_udp(address4("255.255.255.255", 9), filled(12)); }},
    {13, "broadcast of the outside's network", false,
     [] { return send_udp(address4("203.0.113.255", 9), filled(13)); }},
    {14, "multicast", false, [] { return send_udp(address4("224.0.0.251", 5353), filled(14)); }},
    {15, "multicast over IPv6", false,
     [] {
         return on_each_interface([](const std::string& name) {
             return send_from(SOCK_DGRAM, 0, address6("ff02::fb", 5353, name), filled(15));
         });
     }},
    {16, "metadata service", false, [] { return send_udp(address4("169.254.169.254", 80), filled(16)); }},
    {17, "neighbour", false, [] { return send_udp(address4("203.0.113.53", 9), filled(17)); }},
    {18, "udp from each interface", false,
     [] {
         return on_each_interface([](const std::string& name) {
             return send_from(SOCK_DGRAM, 0, target4(18, 9), filled(18), bound_to(name));
         });
     }},
    {19, "link-local over IPv6", false,
     [] {
         return on_each_interface([](const std::string& name) {
             const bool multicast = send_from(SOCK_DGRAM, 0, address6("ff02::1", 9, name), filled(19));
             const bool unicast = send_from(SOCK_DGRAM, 0, address6("fe80::1", 9, name), filled(19));
             return multicast || unicast;
         });
     }},
    {20, "icmp", true, [] { return raw_protocol(20, IPPROTO_ICMP); }},
    {21, "icmp over IPv6", true,
     [] { return send_from(SOCK_RAW, IPPROTO_ICMPV6, target6(21, 0), "\x80" + std::string(3, '\0') + filled(21)); }},
    {22, "sctp", true, [] { return raw_protocol(22, IPPROTO_SCTP); }},
    {23, "gre", true, [] { return raw_protocol(23, IPPROTO_GRE); }},
    {24, "ip in ip", true, [] { return raw_protocol(24, IPPROTO_IPIP); }},
    {25, "protocol 253", true, [] { return raw_protocol(25, 253); }},
    {26, "forged source", true, [] { return raw_packet(26, IPPROTO_UDP); }},
    {27, "first fragment", true, [] { return raw_packet(27, IPPROTO_TCP, IP_MF); }},
    {28, "later fragment", true, [] { return raw_packet(28, IPPROTO_TCP, 8); }},
    {29, "raw tcp without a connection", true, [] { return raw_packet(29, IPPROTO_TCP); }},
    {30, "source route", true,
     [] { return send_from(SOCK_DGRAM, 0, address4("198.51.100.130", 9), filled(30), source_route(30)); }},
    {31, "hop-by-hop header", true,
     [] { return send_from(SOCK_DGRAM, 0, target6(31, 9), filled(31), with(IPPROTO_IPV6, IPV6_HOPOPTS, kPadding)); }},
    {32, "destination header", true,
     [] { return send_from(SOCK_DGRAM, 0, target6(32, 9), filled(32), with(IPPROTO_IPV6, IPV6_DSTOPTS, kPadding)); }},
    {33, "udp with every mark", true,
     [] {
         bool sent = false;
         for (const std::uint32_t mark : {1u, 0x6761u, 0x40000000u, 0xffffffffu})
             sent = send_from(SOCK_DGRAM, 0, target4(33, 9), filled(33), with(SOL_SOCKET, SO_MARK, mark)) || sent;
         return sent;
     }},
    {34, "tcp with a mark", true, [] { return connect_from(0, target4(34, 443), with(SOL_SOCKET, SO_MARK, 1u)); }},
    {35, "transparent source", true,
     [] { return send_from(SOCK_DGRAM, 0, target4(35, 9), filled(35), foreign_source); }},
    {36, "transparent source over IPv6", true,
     [] { return send_from(SOCK_DGRAM, 0, target6(36, 9), filled(36), with(IPPROTO_IPV6, kTransparent6, 1)); }},
    {37, "frame with a packet to be forwarded", true,
     [] {
         return on_each_interface(
             [](const std::string& name) { return frame(name, ETHERTYPE_IP, ip_packet(37, IPPROTO_UDP, 0)); });
     }},
    {38, "frame past the queue", true,
     [] {
         return on_each_interface(
             [](const std::string& name) { return frame(name, ETHERTYPE_IP, ip_packet(38, IPPROTO_UDP, 0), true); });
     }},
    {39, "frame of ARP", true,
     [] { return on_each_interface([](const std::string& name) { return frame(name, ETHERTYPE_ARP, filled(39)); }); }},
    {40, "frame of no known type", true,
     [] { return on_each_interface([](const std::string& name) { return frame(name, 0x88b5, filled(40)); }); }},
    {41, "frame of a VLAN", true,
     [] { return on_each_interface([](const std::string& name) { return frame(name, ETHERTYPE_VLAN, filled(41)); }); }},
};

}  // namespace

const std::vector<PacketAttack>& packet_attacks() {
    return kAttacks;
}

sockaddr_in target4(std::uint8_t number, std::uint16_t port) {
    auto to = address4("0.0.0.0", port);
    std::memcpy(&to.sin_addr, marker(number).data(), sizeof to.sin_addr);
    return to;
}

sockaddr_in6 target6(std::uint8_t number, std::uint16_t port) {
    auto to = address6("2001:db8:5a11::", port);
    std::memcpy(&to.sin6_addr.s6_addr[12], marker(number).data(), 4);
    return to;
}

bool send_udp(const sockaddr_in& to, const std::string& data) {
    return send_from(SOCK_DGRAM, 0, to, data);
}

bool start_tcp(const sockaddr_in& to) {
    return connect_from(0, to);
}

std::string dns_question(const std::string& name, std::uint16_t type, bool tcp) {
    std::string query("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
    for (std::size_t begin = 0; begin <= name.size();) {
        const auto end = std::min(name.find('.', begin), name.size());
        query += static_cast<char>(end - begin) + name.substr(begin, end - begin);
        begin = end + 1;
    }
    query +=
        std::string("\0", 1) + static_cast<char>(type >> 8) + static_cast<char>(type & 0xff) + std::string("\0\1", 2);
    if (!tcp) return query;
    return std::string{static_cast<char>(query.size() >> 8), static_cast<char>(query.size() & 0xff)} + query;
}

}  // namespace sallyport::test
