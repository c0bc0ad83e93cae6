#pragma once
// Turns a fresh network namespace into one whose only way out is a set of sockets.

#include "container/gateway_sockets.hpp"

namespace sallyport::container {

/// Call inside a network namespace that has no interface but `lo`, with CAP_NET_ADMIN over it, from a
/// single-threaded process, before the sandbox's first program runs. Afterwards every TCP connection and every DNS
/// query of that namespace ends in one of the returned sockets, and anything else is refused at once.
/// Throws StartupError; the namespace then has no route, so nothing is reachable from it. Throws also where the
/// sockets of an earlier call are still open, which then stay in force.
GatewaySockets seal_namespace();

}  // namespace sallyport::container
