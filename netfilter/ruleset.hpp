#pragma once
// Firewall rules as comparable values. Pure: the kernel sees them in apply.hpp.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netfilter/statement.hpp"

namespace sallyport::netfilter {

enum class Hook { prerouting, input, forward, output, postrouting, egress };
enum class ChainType { filter, nat };
enum class Policy { accept, drop };

/// Where the kernel calls a chain.
struct Base {
    ChainType type;
    Hook hook;
    std::int32_t priority;
    Policy policy;
    std::vector<std::string> devices = {};  ///< of the egress hook, which wants at least one
    bool operator==(const Base&) const = default;
};

struct Chain {
    std::string name;
    std::optional<Base> base;  ///< empty: reached by Goto from a chain before it in the table
    std::vector<Rule> rules;
    bool operator==(const Chain&) const = default;
};

enum class Family { inet, netdev };  ///< netdev: what leaves a device, of any protocol; only hook egress

struct Table {
    Family family;
    std::string name;
    std::vector<Chain> chains;
    bool operator==(const Table&) const = default;
};

using Ruleset = std::vector<Table>;

/// In the syntax of nft(8), for messages, tests and people.
std::string to_string(const Rule& rule);
std::string to_string(const Table& table);
std::string to_string(const Ruleset& ruleset);

}  // namespace sallyport::netfilter
