#pragma once
// `sallyport doorway`: seals the namespace that it runs in, and keeps its sockets for the gateway. And the check of its
// health.

#include <string>

namespace sallyport::app {

/// Until SIGTERM or SIGINT; returns the exit status. Throws StartupError when the namespace cannot be sealed; nothing
/// is reachable then.
int doorway(const std::string& socket_path);

/// 0: a doorway lives there, whether or not a gateway is connected to it. 1: none does. Says which.
int doorway_health(const std::string& socket_path);

}  // namespace sallyport::app
