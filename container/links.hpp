#pragma once
// Interfaces, and the routing of a namespace that has none but `lo`: libnl, rtnetlink(7).

#include <string>
#include <vector>

namespace sallyport::container {

/// The sandbox's own addresses, out of ranges that no real host has (RFC 2544, RFC 4193). glibc's AI_ADDRCONFIG wants
/// one that is not a loopback address before it looks a name up. The virtual DNS pool must not hand out the first.
inline constexpr const char* kSandboxIpv4 = "198.18.0.1";
inline constexpr const char* kSandboxIpv6 = "fd53:616c:6c79::1";

// All act on the calling thread's network namespace, may be repeated, and throw StartupError.

struct Uplink {
    std::string name;
    bool up;
};
/// Every interface but `lo`.
std::vector<Uplink> uplinks();

/// Throws when an interface other than `lo` is up: rules cannot stop what a packet socket sends there. Tunnel
/// interfaces that the kernel puts into every new namespace are down, and it takes CAP_NET_ADMIN to raise them.
void require_no_uplink();

/// Gives 127.0.0.1 and, where the namespace has IPv6, ::1. Needs CAP_NET_ADMIN over the namespace.
void raise_loopback();

/// Adds the addresses above to `lo`, and default routes into it with them as source: connect(2) to any address then
/// gets as far as the output hooks, where the rules turn it to the gateway. What they do not turn goes nowhere.
/// Needs CAP_NET_ADMIN over the namespace.
void route_all_to_loopback(bool ipv6);

}  // namespace sallyport::container
