#pragma once
// The cgroup (v2) of the calling process, without cgroupfs: a container on a hybrid host does not have it mounted.

#include <cstdint>

namespace sallyport::container {

/// The id that the kernel gives to sockets made now, as nf_tables compares it: found by sock_diag(7), Linux 5.8.
/// Throws StartupError where there is none, or where it is that of the root cgroup, in which everybody is.
std::uint64_t own_cgroup_id();

}  // namespace sallyport::container
