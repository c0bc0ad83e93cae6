#pragma once
// A probe in a process of its own: it may change its user, its namespaces and its cgroup, or be killed for trying.

#include <functional>
#include <string>

namespace sallyport::doctor {

/// What `probe` returned in a forked child (a page at most); "" also when the child died, threw, or took more than
/// three seconds. The caller must have one thread.
std::string in_child(const std::function<std::string()>& probe);
/// The same for a yes or no; no in doubt.
bool succeeds_in_child(const std::function<bool()>& probe);

}  // namespace sallyport::doctor
