#pragma once
// Hears about packets that the rules refused (nflog, linux/netfilter/nfnetlink_log.h).

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gateway/base/endpoint.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::netfilter {

struct PacketReport {
    std::string prefix;         ///< the class of traffic that the rule names: tcp, quic, udp, icmp, other, direct
    std::uint8_t protocol = 0;  ///< IPPROTO_..., after IPv6 extension headers
    IpAddress source;
    IpAddress destination;
    std::optional<std::uint16_t> source_port;  ///< TCP, UDP, UDP-Lite, SCTP, DCCP; absent in a later fragment
    std::optional<std::uint16_t> destination_port;
    std::optional<std::uint8_t> icmp_type;

    bool operator==(const PacketReport&) const = default;
};

/// A nonblocking, close-on-exec socket bound to that group of the caller's network namespace. Opening takes
/// CAP_NET_ADMIN there; reading takes nothing, in any namespace. Throws StartupError.
UniqueFd open_packet_log(std::uint16_t group);

/// Reads what is waiting, up to a bound per call, never blocks. When the kernel had to drop reports, they are missing.
/// Empty also when the socket fails, which a netlink socket does not do on its own.
std::vector<PacketReport> read_packet_log(int packet_log);

/// One datagram of such a socket. Pure. Every length is checked, what does not parse is left out; a packet from the
/// sandbox may hold anything.
std::vector<PacketReport> parse(std::span<const std::byte> datagram);

}  // namespace sallyport::netfilter
