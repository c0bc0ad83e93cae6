#include "gateway/app/unix_address.hpp"

#include <sys/socket.h>

#include <cstring>

#include "gateway/base/startup_error.hpp"

namespace sallyport::app {

sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        throw StartupError("\"" + path + "\" cannot be the path of a socket: at most " +
                           std::to_string(sizeof address.sun_path - 1) + " bytes");
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

}  // namespace sallyport::app
