#pragma once
// The wire of outside_recorder.hpp: two network namespaces and a veth pair between them.

#include "gateway/base/unique_fd.hpp"

namespace sallyport::test {

struct OutsideNetwork {
    UniqueFd near_namespace, far_namespace;
};

/// Leaves the calling process, which must have one thread, in the near namespace: `up0` with 203.0.113.1 and
/// 2001:db8::1, default routes to the far end, which has 203.0.113.53 (on the wire), 198.51.100.80 (behind it: refuses
/// every connection) and 2001:db8::53. Needs CAP_NET_ADMIN and CAP_SYS_ADMIN. Throws StartupError.
OutsideNetwork enter_outside_network();

}  // namespace sallyport::test
