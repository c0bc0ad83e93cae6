#pragma once
// What a rule is made of, as comparable values: named and printed after nft(8).

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace sallyport::netfilter {

/// Matches that take no argument.
enum class Is {
    ipv6,
    arp,
    from_loopback,
    to_loopback,          ///< only where routing is final: in the postrouting hook
    local_destination,    ///< an address of this namespace, as its routing table says *after* a redirect
    foreign_destination,  ///< anything else
    foreign_source,
    redirected,  ///< the connection is (conntrack's IPS_DST_NAT)
    not_redirected,
    original,  ///< the direction of whoever opened the connection
    reply,
    fresh,        ///< conntrack sees the first packet of a connection
    established,  ///< both directions have been seen
    related,      ///< an ICMP error about a connection that is known
    opening_tcp,  ///< of the flags FIN, SYN, RST, ACK only SYN is set
    tcp_reset,
    owned,  ///< by a socket that a program holds: neither the kernel's own nor of a closed one
};

struct Protocol {
    std::uint8_t number;  ///< IPPROTO_...
    bool operator==(const Protocol&) const = default;
};
/// Only for protocols with ports in the first four bytes.
struct DestinationPort {
    std::uint8_t protocol;
    std::uint16_t port;
    bool operator==(const DestinationPort&) const = default;
};
struct SourcePort {
    std::uint8_t protocol;
    std::uint16_t port;
    bool operator==(const SourcePort&) const = default;
};
struct DestinationIpv4 {
    std::array<std::uint8_t, 4> address;
    bool operator==(const DestinationIpv4&) const = default;
};
struct SourceIpv4 {
    std::array<std::uint8_t, 4> address;
    bool operator==(const SourceIpv4&) const = default;
};
/// An ICMPv6 message of that type which no router has passed on (RFC 4861).
struct NeighbourDiscovery {
    std::uint8_t type;
    bool operator==(const NeighbourDiscovery&) const = default;
};
/// The user who made the socket. Matches no packet of a closed socket, nor any of the kernel's.
struct OwnerUser {
    std::uint32_t uid;
    bool operator==(const OwnerUser&) const = default;
};
/// The socket's cgroup (v2), or one above it, has that id. The kernel compares only the one at `level`, counted from
/// the root or, since 6.11, from the cgroup namespace of whoever loads the rule (nft_socket.c).
struct OwnerCgroup {
    std::uint32_t level;
    std::uint64_t id;
    bool operator==(const OwnerCgroup&) const = default;
};
struct Mark {
    std::uint32_t value;
    bool operator==(const Mark&) const = default;
};
struct ConnectionMark {
    std::uint32_t value;
    bool operator==(const ConnectionMark&) const = default;
};
struct Limit {
    std::uint32_t per_second;
    std::uint32_t burst;
    bool operator==(const Limit&) const = default;
};
struct Log {
    std::string prefix;  ///< at most 127 bytes (NF_LOG_PREFIXLEN)
    std::uint16_t group;
    bool operator==(const Log&) const = default;
};
struct SetMark {
    std::uint32_t value;
    bool operator==(const SetMark&) const = default;
};
struct SetConnectionMark {
    std::uint32_t value;
    bool operator==(const SetConnectionMark&) const = default;
};
/// To the loopback address of the packet's own family.
struct Redirect {
    std::uint16_t port;
    bool operator==(const Redirect&) const = default;
};
/// Goes on in a chain without hook, and does not come back: at its end the policy of the first chain decides.
struct Goto {
    std::string chain;
    bool operator==(const Goto&) const = default;
};
enum class Reject { tcp_reset, admin_prohibited };
enum class Verdict { accept, drop };

using Statement = std::variant<Is, Protocol, DestinationPort, SourcePort, DestinationIpv4, SourceIpv4,
                               NeighbourDiscovery, OwnerUser, OwnerCgroup, Mark, ConnectionMark, Limit, Log, SetMark,
                               SetConnectionMark, Redirect, Goto, Reject, Verdict>;
/// All of them must hold for the last one to be reached.
using Rule = std::vector<Statement>;

/// How much of a refused packet is logged: room for an IPv6 header, some extension headers and the ports.
inline constexpr std::uint32_t kLogSnapLength = 128;

}  // namespace sallyport::netfilter
