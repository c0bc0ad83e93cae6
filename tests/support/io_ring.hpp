#pragma once
// One operation at a time through an io_uring (io_uring(7)), without its library.

#include <linux/io_uring.h>

#include <cstdint>
#include <optional>

#include "gateway/base/unique_fd.hpp"

namespace sallyport::test {

class IoRing {
public:
    /// `flags` of io_uring_setup(2). Not usable where that is refused.
    explicit IoRing(std::uint32_t flags);
    ~IoRing();
    IoRing(const IoRing&) = delete;
    explicit operator bool() const { return entries_ != nullptr; }

    /// What became of it: as of a system call, with a negated errno. Nothing after a fifth of a second: it is under
    /// way. Not more than eight in the life of a ring.
    std::optional<int> run(const io_uring_sqe& operation);

private:
    UniqueFd fd_;
    io_uring_params params_{};
    char* rings_ = nullptr;
    io_uring_sqe* entries_ = nullptr;
    std::uint32_t submitted_ = 0;
};

}  // namespace sallyport::test
