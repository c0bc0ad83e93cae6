#pragma once
// A pipe through which bytes go from one socket to another without being copied: splice(2).
//
// Would-block from splice(2) has two meanings: the socket is not ready, or the pipe is full (or empty). Here it always
// speaks of the socket, since the pipe is filled only when it is empty, and drained only when it is not.

#include <cstddef>
#include <optional>

#include "gateway/base/result.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::net {

/// The sockets are non-blocking. SIGPIPE must be ignored: splice(2) knows no MSG_NOSIGNAL.
class Pipe {
public:
    static constexpr std::size_t kMost = 64 * 1024;  ///< bytes at once: what the kernel gives a pipe unasked

    /// nullopt: out of descriptors, or of the pipes that a user may have.
    static std::optional<Pipe> make();

    /// Takes at most kMost bytes from the socket into the pipe, which must be empty. 0: it would block.
    /// ErrorKind::end_of_stream: the peer closed in order.
    Result<std::size_t> fill(int socket);
    /// Gives the socket what it takes of the pipe's bytes, of which there are some. 0: it would block.
    Result<std::size_t> drain(int socket);
    std::size_t pending() const { return pending_; }

private:
    Pipe(UniqueFd out, UniqueFd in) : out_(std::move(out)), in_(std::move(in)) {}

    UniqueFd out_, in_;
    std::size_t pending_ = 0;
};

}  // namespace sallyport::net
