#pragma once
// What the kernel says about a socket, as the data plane reports it.

#include <cerrno>
#include <cstring>

#include "gateway/base/result.hpp"

namespace sallyport::net {

inline Error io_error(int number) {
    if (number == ECONNRESET || number == EPIPE) return {ErrorKind::io, "connection reset by peer"};
    return {ErrorKind::io, std::strerror(number)};
}

inline bool would_block(int number) { return number == EAGAIN || number == EWOULDBLOCK; }

}  // namespace sallyport::net
