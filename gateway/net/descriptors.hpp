#pragma once
// How this process shares out its descriptors (RLIMIT_NOFILE), so that traffic can never take the last one.

#include <cstddef>

namespace sallyport::net {

/// Left by traffic to the rest: a reload, a secret's command, the admin socket, DNS over TCP.
inline constexpr std::size_t kReservedDescriptors = 256;

/// What the limit allows this process at the moment.
std::size_t most_descriptors();

/// One more for traffic leaves the reserve whole. Sets errno to EMFILE where it does not. As the kernel gives the
/// lowest free number, that one says how many are in use.
bool descriptors_left();

}  // namespace sallyport::net
