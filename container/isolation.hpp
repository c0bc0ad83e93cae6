#pragma once
// What COMMAND may not do, whoever it runs as. The order in which COMMAND's process calls these: bounding set (needs
// CAP_SETPCAP), then the user id (needs CAP_SETUID), then the system call filter (needs nothing, stops nothing above).

#include "container/account.hpp"

namespace sallyport::container {

/// True when the calling thread's effective set holds `capability` (CAP_...).
bool has_capability(int capability);

/// Cuts all five sets to Docker's default capabilities, or fewer: CAP_MKNOD is not among them, since no device cgroup
/// stands behind it here. Throws StartupError.
void keep_default_capabilities();

/// For the init process once it is set up: it forwards signals and does nothing else. Throws StartupError.
void keep_only_kill();

/// For our own serving processes, once all that needs a privilege is done: becomes `account` and keeps no capability,
/// in the bounding set as far as CAP_SETPCAP allows; sets no_new_privs; no other process may look into this one. Of the
/// calling thread only: call it before others are started. Throws StartupError.
void give_up_privileges(const Account& account);

/// Sets no_new_privs and loads a seccomp filter that outlives exec: what reaches past the network and mount namespaces
/// by system call alone is refused (see isolation.cpp). Nested user namespaces stay possible. Throws StartupError.
void filter_system_calls();

}  // namespace sallyport::container
