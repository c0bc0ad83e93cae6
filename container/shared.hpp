#pragma once
// Guards a network namespace that has an uplink and is used by the sandbox and the gateway alike.

#include <sys/types.h>

#include <cstdint>
#include <variant>
#include <vector>

#include "container/gateway_sockets.hpp"

namespace sallyport::container {

/// Where the rules of the shared form send the sandbox's traffic. Fixed, since the rules may be older than the gateway.
inline constexpr std::uint16_t kInterceptPort = 15001;
inline constexpr std::uint16_t kDnsPort = 15053;

/// What tells the gateway's own packets from the sandbox's: the cgroup (v2) of the calling process ...
struct ExemptCgroup {};
/// ... or the owner of the socket, where the sandbox cannot change its user.
struct ExemptUser {
    uid_t uid;
};
using Exemption = std::variant<ExemptCgroup, ExemptUser>;

struct SharedSpec {
    Exemption exempt;
    std::vector<std::uint16_t> published;  ///< ports of this namespace that may be connected to from outside
};

/// Programs the rules of the shared form into this network namespace, in one transaction that replaces those of an
/// earlier call without a gap. Needs CAP_NET_ADMIN. Throws StartupError; where the exemption cannot be found out
/// (no cgroup v2, or the calling process is in the root cgroup), rules that let nothing out are in force by then.
void guard_shared_namespace(const SharedSpec&);

/// Takes those rules away again, all at once: what runs in this network namespace then reaches whatever it likes. Does
/// nothing where there are none. Needs CAP_NET_ADMIN. Throws StartupError; the rules stay then.
void unguard_shared_namespace();

/// Opens the sockets that those rules redirect to. The packet log is empty without CAP_NET_ADMIN. Throws StartupError
/// that names the port where one is in use.
GatewaySockets open_shared_sockets();

}  // namespace sallyport::container
