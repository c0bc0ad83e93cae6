// What options of a socket make of its packets.
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>

#include <array>
#include <cstring>
#include <memory>

#include "tests/support/attack_tools.hpp"
#include "tests/support/outside_recorder.hpp"
#include "tests/support/packet_attacks.hpp"

namespace sallyport::test {
namespace {

constexpr char kLoose = '\x83', kStrict = '\x89';
constexpr int kMembershipMs = 50;  // the kernel reports a membership a few milliseconds after its begin

constexpr std::array<std::uint8_t, 8> kPadding = {IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0};

/// To `first`, and from there to where the packet seems to go (RFC 791).
Prepare source_route(char kind, const sockaddr_in& first) {
    return [=](int fd) {
        std::string options = {kind, '\x07', '\x04'};
        options.append(reinterpret_cast<const char*>(&first.sin_addr), sizeof first.sin_addr);
        options += '\0';
        return ::setsockopt(fd, IPPROTO_IP, IP_OPTIONS, options.data(), static_cast<socklen_t>(options.size())) == 0;
    };
}

/// A packet from somebody else that is delivered here, to be forwarded by us. The kernel fills in length and checksum.
bool source_route_through_ourselves(std::uint8_t number) {
    constexpr std::size_t kDestination = 16, kHeader = 20;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return false;
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, ::freeifaddrs);
    bool sent = false;
    for (const auto* entry = list; entry; entry = entry->ifa_next) {
        if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET) continue;
        const auto& ours = *reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
        auto packet = ip_packet(number, IPPROTO_UDP, 0);
        packet[0] = '\x47';  // seven words of header
        packet.replace(kDestination, 4, reinterpret_cast<const char*>(&ours.sin_addr), 4);
        packet.insert(kHeader, std::string{kLoose, '\x07', '\x04'} + marker(number) + '\0');
        packet.resize(kHeader + 8 + 8, '\0');  // so that the number is in the option alone
        sent = send_from(SOCK_RAW, IPPROTO_RAW, ours, packet) || sent;
    }
    return sent;
}

/// A segment routing header of one segment (RFC 8754).
bool segment_route(std::uint8_t number) {
    const auto to = target6(number, 9);
    std::array<std::uint8_t, 24> header = {0, 2, 4, 0, 0, 0, 0, 0};
    std::memcpy(&header[8], &to.sin6_addr, sizeof to.sin6_addr);
    return send_from(SOCK_DGRAM, 0, to, filled(number), with(IPPROTO_IPV6, IPV6_RTHDR, header));
}

/// An address that is none of ours.
bool foreign_source(int fd) {
    const auto from = address4("192.0.2.9", 0);
    return set(fd, IPPROTO_IP, IP_TRANSPARENT, 1) &&
           ::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0;
}

/// The same without any privilege.
bool free_source(int fd) {
    const auto from = address6("2001:db8:5a12::9", 0);
    return set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1) &&
           ::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0;
}

/// With a control message.
template <class T>
bool send_with(const sockaddr_in& to, std::string data, int level, int type, const T& value) {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    auto address = to;
    iovec part{data.data(), data.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(T))> control{};
    const msghdr message{&address, sizeof address, &part, 1, control.data(), control.size(), 0};
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(header), &value, sizeof value);
    return ::sendmsg(fd.get(), &message, 0) >= 0;
}

/// What the kernel then tells the network holds an address of our choice.
template <class Request>
bool join(int level, int option, const Request& request) {
    const auto* group = reinterpret_cast<const sockaddr*>(&request.gsr_group);
    const UniqueFd fd(::socket(group->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const bool joined = set(fd.get(), level, option, request);
    if (joined) ::poll(nullptr, 0, kMembershipMs);
    return joined;
}

bool join4(const std::string& interface, const sockaddr_in& source) {
    const auto group = address4("232.1.2.3", 0);
    group_source_req request{::if_nametoindex(interface.c_str()), {}, {}};
    std::memcpy(&request.gsr_group, &group, sizeof group);
    std::memcpy(&request.gsr_source, &source, sizeof source);
    return join(IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, request);
}

bool join6(const std::string& interface, const sockaddr_in6& source) {
    const auto group = address6("ff35::8000:1", 0);
    group_source_req request{::if_nametoindex(interface.c_str()), {}, {}};
    std::memcpy(&request.gsr_group, &group, sizeof group);
    std::memcpy(&request.gsr_source, &source, sizeof source);
    return join(IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, request);
}

bool is_loopback(const std::string& interface) { return interface == "lo"; }

bool corked(std::uint8_t number) {
    const auto to = target4(number, 9);
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto data = filled(number);
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
           ::send(fd.get(), data.data(), data.size(), MSG_MORE) >= 0 && ::send(fd.get(), "", 0, 0) >= 0;
}

bool fast_open_at_first_write(int fd) {
    return set(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1) && set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
}

}  // namespace

std::vector<PacketAttack> socket_attacks() {
    return {
        {9, "fast open", false,
         [] { return send_from(SOCK_STREAM, 0, target4(9, 443), filled(9), prepared, MSG_FASTOPEN); }},
        {18, "udp from each interface", false,
         [] {
             return on_each_interface([](const std::string& name) {
                 return send_from(SOCK_DGRAM, 0, target4(18, 9), filled(18), bound_to(name));
             });
         }},
        {30, "source route", true,
         [] {
             return send_from(SOCK_DGRAM, 0, address4("198.51.100.130", 9), filled(30),
                              source_route(kLoose, target4(30, 0)));
         }},
        {31, "hop-by-hop header", true,
         [] {
             return send_from(SOCK_DGRAM, 0, target6(31, 9), filled(31), with(IPPROTO_IPV6, IPV6_HOPOPTS, kPadding));
         }},
        {32, "destination header", true,
         [] {
             return send_from(SOCK_DGRAM, 0, target6(32, 9), filled(32), with(IPPROTO_IPV6, IPV6_DSTOPTS, kPadding));
         }},
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
         [] { return send_from(SOCK_DGRAM, 0, target6(36, 9), filled(36), with(IPPROTO_IPV6, IPV6_TRANSPARENT, 1)); }},
        {115, "fast open at the first write", false,
         [] { return connect_from(0, target4(115, 443), fast_open_at_first_write); }},
        {116, "tcp from each interface", false,
         [] {
             return on_each_interface(
                 [](const std::string& name) { return connect_from(0, target4(116, 443), bound_to(name)); });
         }},
        {117, "interface by a control message", false,
         [] {
             return on_each_interface([](const std::string& name) {
                 const in_pktinfo by{static_cast<int>(::if_nametoindex(name.c_str())), {}, {}};
                 return send_with(target4(117, 9), filled(117), IPPROTO_IP, IP_PKTINFO, by);
             });
         }},
        {118, "interface by an option", false,
         [] {
             return on_each_interface([](const std::string& name) {
                 const auto by = htonl(::if_nametoindex(name.c_str()));
                 return send_from(SOCK_DGRAM, 0, target4(118, 9), filled(118), with(IPPROTO_IP, IP_UNICAST_IF, by));
             });
         }},
        {119, "without a route", false,
         [] { return send_from(SOCK_DGRAM, 0, address4("203.0.113.53", 9), filled(119), prepared, MSG_DONTROUTE); }},
        {120, "segments in one write", false,
         [] {
             return send_from(SOCK_DGRAM, 0, target4(120, 9), filled(120, 3000), with(IPPROTO_UDP, UDP_SEGMENT, 1000));
         }},
        {121, "without copies", false,
         [] {
             return send_from(SOCK_DGRAM, 0, target4(121, 9), filled(121), with(SOL_SOCKET, SO_ZEROCOPY, 1),
                              MSG_ZEROCOPY);
         }},
        {122, "corked", false, [] { return corked(122); }},
        {123, "source route of a connection", true,
         [] { return connect_from(0, address4("198.51.100.130", 443), source_route(kLoose, target4(123, 0))); }},
        {124, "strict source route", true,
         [] {
             return send_from(SOCK_DGRAM, 0, target4(124, 9), filled(124),
                              source_route(kStrict, address4("203.0.113.53", 0)));
         }},
        {125, "source route through ourselves", true, [] { return source_route_through_ourselves(125); }},
        {126, "segment routing header", false, [] { return segment_route(126); }, Standing::where_there},
        {127, "foreign source over IPv6", false,
         [] { return send_from(SOCK_DGRAM, 0, target6(127, 9), filled(127), free_source); }},
        {128, "tcp from a foreign source over IPv6", false,
         [] { return connect_from(0, target6(128, 443), free_source); }},
        {129, "member of a multicast group", false,
         [] {
             return on_each_interface(
                 [](const std::string& name) { return !is_loopback(name) && join4(name, target4(129, 0)); });
         },
         Standing::where_there},
        {131, "member of a multicast group of IPv6", false,
         [] {
             return on_each_interface(
                 [](const std::string& name) { return !is_loopback(name) && join6(name, target6(131, 0)); });
         },
         Standing::where_there},
        {132, "tcp from a transparent source", true, [] { return connect_from(0, target4(132, 443), foreign_source); }},
        {133, "mark by a control message", true,
         [] { return send_with(target4(133, 9), filled(133), SOL_SOCKET, SO_MARK, 0x6761u); }},
    };
}

}  // namespace sallyport::test
