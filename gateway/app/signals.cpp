#include "gateway/app/signals.hpp"

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "gateway/base/startup_error.hpp"

namespace sallyport::app {
namespace {

sigset_t relayed_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH})
        sigaddset(&set, number);
    return set;
}

/// What is not relayed is blocked too: the command may share our process group, and must not end us before the log is
/// written. Those that stop us are for the shell's job control.
void block_signals() {
    sigset_t set;
    sigfillset(&set);
    for (const int number : {SIGTSTP, SIGTTIN, SIGTTOU}) sigdelset(&set, number);
    if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) throw system_error("sigprocmask", errno);
}

int open_signals() {
    block_signals();
    const sigset_t set = relayed_signals();
    const int fd = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) throw system_error("signalfd", errno);
    return fd;
}

}  // namespace

SignalRelay::SignalRelay(boost::asio::io_context& io, std::function<void(int)> forward)
    : signals_(io, open_signals()), forward_(std::move(forward)) {
    ::signal(SIGPIPE, SIG_IGN);
    wait();
}

void SignalRelay::wait() {
    signals_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& ec) {
        if (ec) return;
        take();
        wait();
    });
}

void SignalRelay::take() {
    signalfd_siginfo info{};
    while (::read(signals_.native_handle(), &info, sizeof info) == sizeof info) {
        const bool from_terminal = info.ssi_code == SI_KERNEL;
        if (!from_terminal) forward_(static_cast<int>(info.ssi_signo));
    }
}

void end_like(int wait_status) {
    if (!WIFSIGNALED(wait_status)) std::_Exit(WEXITSTATUS(wait_status));
    const int number = WTERMSIG(wait_status);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);  // the core to look at is the command's
    ::signal(number, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
    ::raise(number);
    std::_Exit(128 + number);
}

}  // namespace sallyport::app
