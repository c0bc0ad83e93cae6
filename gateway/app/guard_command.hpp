#pragma once
// `sallyport guard`, and the first step of `sallyport gateway --guard`: the rules of the shared form.

#include <optional>
#include <string>

namespace sallyport::app {

struct GuardOptions {
    std::optional<std::string> policy_file;   ///< for its [[publish]]; without: nothing comes in
    std::optional<std::string> user;          ///< the gateway's, who is let out; without: this process's cgroup
};

/// Programs the rules into this network namespace. Throws StartupError; whatever is wrong, rules that let nothing out are
/// in force then, unless the rules themselves cannot be programmed.
void guard(const GuardOptions&);

}  // namespace sallyport::app
