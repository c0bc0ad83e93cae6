#pragma once
// `sallyport guard`, and the first step of `sallyport gateway --guard`: the rules of the shared form; `sallyport
// unguard`.

#include <optional>
#include <string>

namespace sallyport::app {

struct GuardOptions {
    std::optional<std::string> policy_file;  ///< for its [[publish]]; without: nothing comes in
    bool exempt_user = true;                 ///< the gateway is told by its user, else by this process's cgroup
    std::optional<std::string> user;         ///< name or number
};

/// Programs the rules into this network namespace. Throws StartupError; whatever is wrong, rules that let nothing out
/// are in force then, unless the rules themselves cannot be programmed.
void guard(const GuardOptions&);

/// Takes them away, and says so. Throws StartupError.
void unguard();

}  // namespace sallyport::app
