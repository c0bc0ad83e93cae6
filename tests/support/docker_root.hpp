#pragma once
// Who attacks: root in a container, as Docker makes it.

#include <sys/types.h>

namespace sallyport::test {

enum class NetRaw { dropped, kept };

/// For a child that is root, before it executes the attack: Docker's capabilities and no more (no filter of system
/// calls, which would only make it weaker), then that user.
void become_docker_root(NetRaw net_raw, uid_t uid = 0);

}  // namespace sallyport::test
