// TCP and UDP to every kind of address, and every other protocol.
#include <netinet/icmp6.h>
#include <netinet/ip.h>

#include "tests/support/attack_tools.hpp"
#include "tests/support/outside_recorder.hpp"
#include "tests/support/packet_attacks.hpp"

namespace sallyport::test {
namespace {

constexpr int kMptcp = 262, kUdpLite = 136;

bool raw_packet(std::uint8_t number, std::uint8_t protocol, std::uint16_t fragment = 0) {
    return send_from(SOCK_RAW, IPPROTO_RAW, target4(number, 0), ip_packet(number, protocol, fragment));
}

bool raw_protocol(std::uint8_t number, int protocol) {
    return send_from(SOCK_RAW, protocol, target4(number, 0), filled(number));
}

/// Every protocol there is a number for, one packet each.
template <class Address>
bool every_protocol(std::uint8_t number, const Address& to) {
    bool sent = false;
    for (int protocol = 1; protocol < IPPROTO_RAW; ++protocol)
        sent = send_from(SOCK_RAW, protocol, to, filled(number)) || sent;
    return sent;
}

/// As the kernel itself would send it: the rules let that pass.
bool neighbour_discovery(std::uint8_t number, char type) {
    return send_from(SOCK_RAW, IPPROTO_ICMPV6, target6(number, 0), type + std::string(7, '\0') + filled(number),
                     with(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 255));
}

}  // namespace

std::vector<PacketAttack> ip_attacks() {
    return {
        {1, "tcp", false, [] { return connect_from(0, target4(1, 443)); }},
        {2, "tcp over IPv6", false, [] { return connect_from(0, target6(2, 443)); }},
        {3, "tcp to a mapped address", false, [] { return connect_from(0, address6("::ffff:198.51.100.3", 443)); }},
        {4, "udp", false, [] { return send_udp(target4(4, 9), filled(4)); }},
        {5, "udp over IPv6", false, [] { return send_from(SOCK_DGRAM, 0, target6(5, 9), filled(5)); }},
        {6, "udp to port 53, no DNS", false, [] { return send_udp(target4(6, 53), filled(6)); }},
        {7, "tcp to port 53", false, [] { return connect_from(0, target4(7, 53)); }},
        {8, "quic", false, [] { return send_udp(target4(8, 443), "\xc0" + filled(8, 1199)); }},
        {10, "mptcp", false, [] { return connect_from(kMptcp, target4(10, 443)); }, Standing::where_there},
        {11, "udp-lite", false, [] { return send_from(SOCK_DGRAM, kUdpLite, target4(11, 9), filled(11)); },
         Standing::where_there},
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
         [] {
             return send_from(SOCK_RAW, IPPROTO_ICMPV6, target6(21, 0), "\x80" + std::string(3, '\0') + filled(21));
         }},
        {22, "sctp", true, [] { return raw_protocol(22, IPPROTO_SCTP); }},
        {23, "gre", true, [] { return raw_protocol(23, IPPROTO_GRE); }},
        {24, "ip in ip", true, [] { return raw_protocol(24, IPPROTO_IPIP); }},
        {25, "protocol 253", true, [] { return raw_protocol(25, 253); }},
        {26, "forged source", true, [] { return raw_packet(26, IPPROTO_UDP); }},
        {27, "first fragment", true, [] { return raw_packet(27, IPPROTO_TCP, IP_MF); }},
        {28, "later fragment", true, [] { return raw_packet(28, IPPROTO_TCP, 8); }},
        {29, "raw tcp without a connection", true, [] { return raw_packet(29, IPPROTO_TCP); }},
        {100, "udp to a mapped address", false,
         [] { return send_from(SOCK_DGRAM, 0, address6("::ffff:198.51.100.100", 9), filled(100)); }},
        {101, "mptcp over IPv6", false, [] { return connect_from(kMptcp, target6(101, 443)); }, Standing::where_there},
        {102, "tcp to a link-local address", false,
         [] {
             return on_each_interface(
                 [](const std::string& name) { return connect_from(0, address6("fe80::c633:6466", 443, name)); });
         }},
        {103, "datagram of many fragments", false, [] { return send_udp(target4(103, 9), filled(103, 20'000)); }},
        {104, "datagram of many fragments over IPv6", false,
         [] { return send_from(SOCK_DGRAM, 0, target6(104, 9), filled(104, 20'000)); }},
        {105, "ping", false,
         [] {
             return send_from(SOCK_DGRAM, IPPROTO_ICMP, target4(105, 0), "\x08" + std::string(7, '\0') + filled(105));
         },
         Standing::where_there},
        {106, "ping over IPv6", false,
         [] {
             return send_from(SOCK_DGRAM, IPPROTO_ICMPV6, target6(106, 0), "\x80" + std::string(7, '\0') + filled(106));
         },
         Standing::where_there},
        {107, "every protocol", true, [] { return every_protocol(107, target4(107, 0)); }},
        {108, "every protocol over IPv6", true, [] { return every_protocol(108, target6(108, 0)); }},
        {109, "forged router solicitation", true, [] { return neighbour_discovery(109, '\x85'); }},
        {110, "forged neighbour solicitation", true, [] { return neighbour_discovery(110, '\x87'); }},
        {111, "forged neighbour advertisement", true, [] { return neighbour_discovery(111, '\x88'); }},
        {112, "raw packet from 127.0.0.1", true,
         [] { return send_from(SOCK_RAW, IPPROTO_RAW, target4(112, 0), ip_packet(112, IPPROTO_UDP, 0, "127.0.0.1")); }},
    };
}

}  // namespace sallyport::test
