#pragma once
// Firewall rules as comparable values. Pure: the kernel sees them in apply.hpp.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "netfilter/intercept_plan.hpp"

namespace sallyport::netfilter {

// The statements of a rule, named and printed after nft(8). All of them must hold for the last one to be reached.
struct FamilyIsIpv6 {
    bool operator==(const FamilyIsIpv6&) const = default;
};
struct FromLoopback {
    bool operator==(const FromLoopback&) const = default;
};
/// The destination is an address of this namespace, as its routing table says *after* a redirect.
struct LocalDestination {
    bool operator==(const LocalDestination&) const = default;
};
/// The packet belongs to no redirected connection (conntrack's IPS_DST_NAT is clear).
struct NotRedirected {
    bool operator==(const NotRedirected&) const = default;
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
/// To the loopback address of the packet's own family.
struct Redirect {
    std::uint16_t port;
    bool operator==(const Redirect&) const = default;
};
enum class Reject { tcp_reset, admin_prohibited };
struct Accept {
    bool operator==(const Accept&) const = default;
};

using Statement = std::variant<FamilyIsIpv6, FromLoopback, LocalDestination, NotRedirected, Protocol, DestinationPort,
                               Limit, Log, Redirect, Reject, Accept>;
using Rule = std::vector<Statement>;

enum class Hook { input, forward, output };
enum class ChainType { filter, nat };
enum class Policy { accept, drop };

struct Chain {
    std::string name;
    ChainType type;
    Hook hook;
    std::int32_t priority;
    Policy policy;
    std::vector<Rule> rules;
    bool operator==(const Chain&) const = default;
};

/// One table of family inet.
struct Ruleset {
    std::string table;
    std::vector<Chain> chains;
    bool operator==(const Ruleset&) const = default;
};

/// How much of a refused packet is logged: room for an IPv6 header, some extension headers and the ports.
inline constexpr std::uint32_t kLogSnapLength = 128;

/// The rules of a namespace that has no interface but `lo` and default routes into it.
Ruleset sealed_ruleset(const InterceptPlan& plan);

std::string to_string(const Rule& rule);
/// In the syntax of nft(8), for tests and for people.
std::string to_string(const Ruleset& ruleset);

}  // namespace sallyport::netfilter
