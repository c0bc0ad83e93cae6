#include "container/doorway_client.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {
constexpr int kPatienceMs = 2000;
}

sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        throw StartupError("\"" + path + "\" cannot be a unix socket's path: it has 1 to 107 bytes");
    std::copy(path.begin(), path.end(), address.sun_path);
    return address;
}

UniqueFd call_doorway(const std::string& path, DoorwayRequest request) {
    const auto address = unix_address(path);
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const char byte = static_cast<char>(request);
    if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::send(fd.get(), &byte, 1, MSG_NOSIGNAL) != 1) {
        const int error = errno;
        fd.reset();
        errno = error;
    }
    return fd;
}

std::optional<DoorwayAnswer> ask_doorway(const std::string& path, DoorwayRequest request) {
    const auto fd = call_doorway(path, request);
    pollfd answered{fd.get(), POLLIN, 0};
    char byte = 0;
    if (!fd || ::poll(&answered, 1, kPatienceMs) != 1 || ::recv(fd.get(), &byte, 1, 0) != 1) return std::nullopt;
    return static_cast<DoorwayAnswer>(byte);
}

}  // namespace sallyport::container
