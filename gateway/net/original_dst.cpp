#include "gateway/net/original_dst.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace sallyport::net {
namespace {

constexpr int kOriginalDst = 80;  // SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST; their headers clash with the C library's

}  // namespace

Result<OriginalDst> local_address(int fd) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0)
        return Error{ErrorKind::io, std::strerror(errno)};
    if (const auto endpoint = Endpoint::from_sockaddr(storage)) return OriginalDst{*endpoint};
    return Error{ErrorKind::refused, "not an internet connection"};
}

Result<OriginalDst> original_destination(int fd) {
    const auto local = local_address(fd);
    if (!local) return local.error();
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    // The canonical family decides: a v4-mapped connection is tracked as IPv4.
    const int level = local->address.is_v4() ? SOL_IP : SOL_IPV6;
    if (::getsockopt(fd, level, kOriginalDst, &storage, &length) != 0)
        return Error{ErrorKind::refused, std::string("no original destination: ") + std::strerror(errno)};
    const auto original = Endpoint::from_sockaddr(storage);
    if (!original) return Error{ErrorKind::refused, "no original destination"};
    if (*original == static_cast<const Endpoint&>(*local))
        return Error{ErrorKind::refused, "dialled the gateway itself"};
    return OriginalDst{*original};
}

Result<ClientAddr> client_address(int fd) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0)
        return Error{ErrorKind::io, std::strerror(errno)};
    if (const auto endpoint = Endpoint::from_sockaddr(storage)) return ClientAddr{*endpoint};
    return Error{ErrorKind::refused, "not an internet connection"};
}

}  // namespace sallyport::net
