#include "container/terminal.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

namespace sallyport::container {

Terminal::Terminal() : tty_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
    if (tty_) foreground_ = ::tcgetpgrp(tty_.get());
}

void Terminal::restore() const {
    if (!tty_ || foreground_ != ::getpgrp() || ::tcgetpgrp(tty_.get()) == foreground_) return;
    // A background process that changes the foreground group is stopped by SIGTTOU unless it blocks it.
    sigset_t stop, before;
    ::sigemptyset(&stop);
    ::sigaddset(&stop, SIGTTOU);
    ::pthread_sigmask(SIG_BLOCK, &stop, &before);
    ::tcsetpgrp(tty_.get(), foreground_);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace sallyport::container
