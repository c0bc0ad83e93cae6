#pragma once
// The other side of doorway.hpp: what the gateway, a health check and a second doorway ask.

#include <sys/un.h>

#include <optional>
#include <string>

#include "container/doorway.hpp"

namespace sallyport::container {

/// Throws StartupError when the path is too long for one.
sockaddr_un unix_address(const std::string& path);

/// Connects and sends the request; waits for neither. Nonblocking, close-on-exec. Empty, with errno, when nobody
/// listens there or its queue is full.
UniqueFd call_doorway(const std::string& path, DoorwayRequest request);

/// One request that is answered with one byte; waits at most two seconds. nullopt: no doorway lives there.
std::optional<DoorwayAnswer> ask_doorway(const std::string& path, DoorwayRequest request);

}  // namespace sallyport::container
