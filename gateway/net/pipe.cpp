#include "gateway/net/pipe.hpp"

#include <fcntl.h>

#include <cerrno>

#include "gateway/net/descriptors.hpp"
#include "gateway/net/io_error.hpp"

namespace sallyport::net {
namespace {

/// Bytes moved; -1 as splice(2) has it.
ssize_t move(int from, int to, std::size_t most) {
    return ::splice(from, nullptr, to, nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

}  // namespace

std::optional<Pipe> Pipe::make() {
    int ends[2];
    if (!descriptors_left() || ::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return std::nullopt;
    return Pipe(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Result<std::size_t> Pipe::fill(int socket) {
    const ssize_t n = move(socket, in_.get(), kMost);
    if (n == 0) return Error{ErrorKind::end_of_stream, "closed"};
    if (n < 0 && !would_block(errno)) return io_error(errno);
    pending_ = n > 0 ? static_cast<std::size_t>(n) : 0;
    return pending_;
}

Result<std::size_t> Pipe::drain(int socket) {
    const ssize_t n = move(out_.get(), socket, pending_);
    if (n < 0 && !would_block(errno)) return io_error(errno);
    const auto moved = n > 0 ? static_cast<std::size_t>(n) : 0;
    pending_ -= moved;
    return moved;
}

}  // namespace sallyport::net
