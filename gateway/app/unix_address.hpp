#pragma once

#include <sys/un.h>

#include <string>

namespace sallyport::app {

/// The address of a socket with a path. Throws StartupError for one that is empty or too long (107 bytes).
sockaddr_un unix_address(const std::string& path);

}  // namespace sallyport::app
