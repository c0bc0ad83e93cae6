#pragma once
// From what was seen to the smallest policy that allows it. Pure.

#include <string>

#include "gateway/audit/read_log.hpp"
#include "gateway/policy/policy.hpp"

namespace sallyport::audit {

/// TOML that loads without mistakes, with counts as comments, and under which everything in `content.seen` is allowed
/// but what it lists in comments: what no rule can name, addresses of this machine or of cloud metadata, and what a
/// rule of `known` denies. What `known` allows is left out; an empty policy knows nothing.
///
/// A preset stands in for rules when at least three different requests needed it, at least half of its rules were
/// needed, and all of those among them that allow more than GET and HEAD. Everything else gets a rule of its own: one
/// for each host, port and set of methods, with paths as group_paths() has them.
std::string suggest(const LogContent& content, const policy::Policy& known);

}  // namespace sallyport::audit
