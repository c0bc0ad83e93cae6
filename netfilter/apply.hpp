#pragma once
// Loads rules into the network namespace of the calling thread. The only user of NftSocket.

#include "netfilter/ruleset.hpp"

namespace sallyport::netfilter {

/// Replaces the tables of those names by `ruleset`, in one transaction; repeating it changes nothing. Needs
/// CAP_NET_ADMIN. Throws StartupError naming the rule that the kernel refused; what was loaded before then stays.
void apply(const Ruleset& ruleset);

/// Removes the tables of those names, in one transaction; repeating it changes nothing. Needs CAP_NET_ADMIN. Throws
/// StartupError; what was loaded before then stays.
void remove(const Ruleset& ruleset);

}  // namespace sallyport::netfilter
