#pragma once
// Opens the gateway's sockets on the loopback addresses of the calling thread's network namespace.

#include <cstdint>

#include "container/gateway_sockets.hpp"

namespace sallyport::container {

inline constexpr std::uint16_t kLogGroup = 53;  ///< nflog group of the packets that the rules refuse

/// Where connections and queries are redirected to. 0: the kernel chooses.
struct InterceptPorts {
    std::uint16_t tcp = 0;
    std::uint16_t dns = 0;
};

/// Whether ::1 can be bound. `lo` must be up.
bool namespace_has_ipv6();

/// Fills in all sockets but the packet log; those of IPv6 only where the namespace has it. Returns the ports.
/// Throws StartupError that names the port where one is in use.
InterceptPorts open_listeners(GatewaySockets& sockets, InterceptPorts wanted = {});

}  // namespace sallyport::container
