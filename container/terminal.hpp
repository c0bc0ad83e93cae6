#pragma once
// The controlling terminal, which an interactive COMMAND takes over and does not give back.

#include <sys/types.h>

#include "gateway/base/unique_fd.hpp"

namespace sallyport::container {

/// A shell with job control makes itself the terminal's foreground process group. At its end it tries to restore the
/// previous one, and fails: that group has no number in its pid namespace.
class Terminal {
public:
    Terminal();  ///< opens /dev/tty; a process without controlling terminal is fine

    explicit operator bool() const { return static_cast<bool>(tty_); }
    /// Makes our process group the foreground one again if it was at construction.
    void restore() const;

private:
    UniqueFd tty_;
    pid_t foreground_ = -1;
};

}  // namespace sallyport::container
