#pragma once
// A ruleset as the netlink messages that nf_tables takes (linux/netfilter/nf_tables.h). Bytes only: no socket.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "netfilter/ruleset.hpp"

namespace sallyport::netfilter {

/// One transaction, ready to be sent in one piece. The kernel does all of it or nothing.
struct Batch {
    std::vector<std::byte> bytes;
    /// What each message is for, in words. Message i has sequence number i; the first and the last only frame the
    /// batch, the kernel acknowledges all others.
    std::vector<std::string> steps;
};

/// Replaces the tables of those names, whether they exist or not (add + delete + add), leaving no moment without them.
Batch encode_replace(const Ruleset& ruleset);

/// Removes the tables of those names, whether they exist or not.
Batch encode_remove(const Ruleset& ruleset);

}  // namespace sallyport::netfilter
