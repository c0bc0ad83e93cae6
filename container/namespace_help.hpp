#pragma once
// Pure: why the kernel refuses a user namespace, and what to type.

#include <optional>
#include <string>

namespace sallyport::container {

/// Settings under /proc that switch user namespaces off; nullopt where the kernel does not have the setting.
struct NamespaceSettings {
    std::optional<long> unprivileged_clone{};  ///< kernel.unprivileged_userns_clone (Debian): 0 = off
    std::optional<long> max_namespaces{};      ///< user.max_user_namespaces: 0 = off
    std::optional<long> apparmor_restricts{};  ///< kernel.apparmor_restrict_unprivileged_userns (Ubuntu): 1 = on
    bool system_calls_filtered = false;        ///< Seccomp in /proc/self/status is not 0: a container
};

NamespaceSettings read_namespace_settings();

/// `error`: errno of clone(2), or of the first privileged step inside (AppArmor lets the namespace be made and takes
/// its capabilities away).
std::string explain_refusal(int error, const NamespaceSettings& settings);

}  // namespace sallyport::container
