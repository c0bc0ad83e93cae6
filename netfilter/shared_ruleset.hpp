#pragma once
// The rules of a namespace that has an uplink, and that the gateway shares with the sandbox.

#include <cstdint>
#include <string>
#include <vector>

#include "netfilter/intercept_plan.hpp"
#include "netfilter/ruleset.hpp"

namespace sallyport::netfilter {

/// A value: no kernel, no sockets.
struct SharedPlan {
    InterceptPlan intercept;
    std::vector<Statement> gateway;  ///< a packet of a program is the gateway's if one of them matches; none: nobody's
    std::vector<std::uint16_t> published;  ///< TCP ports of this namespace that may be connected to from outside
    std::vector<std::string> uplinks;      ///< every interface but `lo`
    /// Given to a packet that may leave, and taken off on its device. Random and new each time, not 0: a packet socket
    /// with CAP_NET_RAW can give its frames any mark.
    std::uint32_t mark = 0;
};

/// What tells the gateway apart when it runs in the cgroup (v2) of that id: at whatever depth the cgroup is, and
/// wherever the kernel counts it from, one of the levels is the right one, and no other cgroup has the id.
std::vector<Statement> of_cgroup(std::uint64_t id);

/// One table for IP and one for what leaves a device. Without IPv6 on `lo`, IPv6 is refused.
Ruleset shared_ruleset(const SharedPlan& plan);

}  // namespace sallyport::netfilter
