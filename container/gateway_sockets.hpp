#pragma once
// What the gateway serves: sockets that live in the guarded namespace, whoever holds them.

#include <cstdint>

#include "gateway/base/unique_fd.hpp"

namespace sallyport::container {

/// Where a client finds the explicit proxy (HTTP_PROXY, HTTPS_PROXY) on the namespace's loopback addresses.
inline constexpr std::uint16_t kExplicitProxyPort = 15080;

/// Nonblocking, close-on-exec. Those of IPv6 are empty where the namespace has no IPv6. A TCP pair shares one port
/// number, and so do the four DNS sockets.
struct GatewaySockets {
    UniqueFd tcp4, tcp6;                              ///< listeners; SO_ORIGINAL_DST works on what they accept
    UniqueFd dns_udp4, dns_udp6, dns_tcp4, dns_tcp6;  ///< every query to port 53, whatever server was asked
    UniqueFd proxy4, proxy6;                          ///< listeners of the explicit proxy, at kExplicitProxyPort
    UniqueFd packet_log;                              ///< what the rules refused; see netfilter/packet_log.hpp
};

}  // namespace sallyport::container
