#pragma once
// The cgroup (v2) of the calling process, without cgroupfs: a container on a hybrid host does not have it mounted.

#include <cstdint>
#include <string>

namespace sallyport::container {

/// The id that the kernel gives to sockets made now, as nf_tables compares it: found by sock_diag(7), Linux 5.8.
/// Throws StartupError where there is none of our own: in the root cgroup everybody is, and so they are in the engine's
/// on hosts where it gives containers cgroups of version 1 only.
std::uint64_t own_cgroup_id();

/// False for that last case: `proc_self_cgroup` is the content of that file (cgroups(7)). Pure.
bool is_of_one_container(const std::string& proc_self_cgroup);

}  // namespace sallyport::container
