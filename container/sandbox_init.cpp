// States: setting up -> sealed and ready -> (go) -> COMMAND runs -> COMMAND has ended. In every state the end of the
// gateway ends the sandbox, by end-of-file on the channel and, where the gateway's user may signal us, by PDEATHSIG as
// well. When this process exits the kernel kills all others of the pid namespace.
//
// COMMAND has no hold on this process: it is PID 1, so signals from inside are dropped; it is not dumpable, so its
// memory (a copy of the gateway's from before any secret was read) and its /proc entries are closed; it reads nothing
// but the channel, which COMMAND does not have.

#include "container/sandbox_init.hpp"

#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>

#include "container/channel.hpp"
#include "container/isolation.hpp"
#include "container/namespace_help.hpp"
#include "container/root_view.hpp"
#include "container/seal.hpp"
#include "container/socket_handover.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

constexpr int kNotFound = 127;  // as a shell says it: POSIX, "Exit Status for Commands"
constexpr int kNotExecutable = 126;
constexpr int kSetupFailed = 125;

/// COMMAND's signal state is the one that sallyport was started with; ours needs SIGCHLD to be kept and queued.
class ChildSignal {
public:
    ChildSignal() {
        sigset_t child;
        ::sigemptyset(&child);
        ::sigaddset(&child, SIGCHLD);
        ::sigprocmask(SIG_BLOCK, &child, &mask_);
        struct sigaction standard {};
        standard.sa_handler = SIG_DFL;
        ::sigaction(SIGCHLD, &standard, &action_);
        fd_ = UniqueFd(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
        if (!fd_) throw system_error("cannot watch for the command's end", errno);
    }
    void restore() const {
        ::sigaction(SIGCHLD, &action_, nullptr);
        ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
    }
    int fd() const { return fd_.get(); }
    void drain() const {
        signalfd_siginfo info;
        while (::read(fd_.get(), &info, sizeof info) > 0) continue;
    }

private:
    UniqueFd fd_;
    sigset_t mask_{};
    struct sigaction action_ {};
};

/// Our memory is a copy of the gateway's; what its environment held is not for this process.
void wipe_environment() {
    for (char** entry = environ; entry && *entry; ++entry) ::explicit_bzero(*entry, std::strlen(*entry));
    ::clearenv();
}

/// The kernel drops signals from inside for a first process that does not handle them; libraries that were loaded into
/// us (a sanitizer's) may have installed handlers. What is ignored stays so, for COMMAND to inherit.
void drop_signal_handlers() {
    for (int number = 1; number < NSIG; ++number) {
        struct sigaction action {};
        if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
        action = {};
        action.sa_handler = SIG_DFL;
        ::sigaction(number, &action, nullptr);
    }
}

void take_ids(int channel) {
    // While dumpable our /proc files are ours, and so the gateway's to write to. No program of the sandbox exists yet.
    ::prctl(PR_SET_DUMPABLE, 1);
    if (!send_note(channel, NoteKind::born) || !receive_note(channel)) ::_exit(kSetupFailed);
}

void own_mounts(bool user_namespace) {
    // Private, not slave: a mount that appears outside later must not bring a new way out. This is also the first step
    // that needs the new namespace's capabilities, which AppArmor may have taken away.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) return;
    if (user_namespace) throw StartupError(explain_refusal(errno, read_namespace_settings()));
    throw system_error("cannot make the sandbox's mounts its own", errno);
}

void set_up(const InitPlan& plan, int channel) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    drop_signal_handlers();
    if (plan.user_namespace) take_ids(channel);
    ::prctl(PR_SET_DUMPABLE, 0);
    wipe_environment();
    if (plan.own_session) ::setsid();

    own_mounts(plan.user_namespace);
    auto sockets = seal_namespace();
    prepare_mounts(plan.view);
    install_trust(plan.trust);
    if (plan.account.uid == 0) restrict_root_view();
    finish_mounts(plan.directory);

    if (!send_note(channel, NoteKind::ready)) ::_exit(kSetupFailed);
    send_sockets(channel, std::move(sockets));
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (const auto& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

[[noreturn]] void become_command(const InitPlan& plan, const ChildSignal& child_signal) {
    try {
        child_signal.restore();
        keep_default_capabilities();
        become(plan.account);
        filter_system_calls();
    } catch (const std::exception& error) {
        ::dprintf(STDERR_FILENO, "sallyport: %s\n", error.what());
        ::_exit(kSetupFailed);
    }
    ::close_range(STDERR_FILENO + 1, ~0u, 0);
    auto arguments = pointers(plan.command);
    auto environment = pointers(plan.environment);
    environ = environment.data();  // execvp(3) looks for PATH there
    ::execvp(arguments[0], arguments.data());
    const int error = errno;
    ::dprintf(STDERR_FILENO, "sallyport: %s: %s\n", arguments[0], std::strerror(error));
    ::_exit(error == ENOENT ? kNotFound : kNotExecutable);
}

/// Reaps every process of the sandbox that lost its parent; the status of COMMAND when it is among them.
std::optional<int> reap(pid_t command) {
    std::optional<int> ended;
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == command) ended = status;
    return ended;
}

void pass_on(pid_t command, const Note& note) {
    int number = 0;
    std::from_chars(note.payload.data(), note.payload.data() + note.payload.size(), number);
    if (note.kind == NoteKind::signal && number > 0) ::kill(command, number);
}

/// Takes the gateway's last words about the environment; returns when COMMAND may start.
void wait_for_release(InitPlan& plan, int channel) {
    while (true) {
        const auto note = receive_note(channel);
        if (!note) ::_exit(kSetupFailed);
        if (note->kind == NoteKind::go) return;
        const auto entry = note->payload + "=";
        if (note->kind == NoteKind::withhold)
            std::erase_if(plan.environment, [&](const std::string& e) { return e.starts_with(entry); });
    }
}

[[noreturn]] void supervise(pid_t command, const ChildSignal& child_signal, int channel) {
    while (true) {
        pollfd sources[] = {{child_signal.fd(), POLLIN, 0}, {channel, POLLIN, 0}};
        if (::poll(sources, 2, -1) < 0) continue;
        if (sources[0].revents) {
            child_signal.drain();
            if (const auto status = reap(command)) {
                send_note(channel, NoteKind::ended, std::to_string(*status));
                ::_exit(0);
            }
        }
        if (sources[1].revents) {
            const auto note = receive_note(channel);
            if (!note) ::_exit(kSetupFailed);
            pass_on(command, *note);
        }
    }
}

}  // namespace

void run_init(InitPlan plan, UniqueFd channel) {
    try {
        set_up(plan, channel.get());
        wait_for_release(plan, channel.get());
        const ChildSignal child_signal;
        const pid_t command = ::fork();
        if (command < 0) throw system_error("cannot start the command", errno);
        if (command == 0) become_command(plan, child_signal);
        keep_only_kill();
        supervise(command, child_signal, channel.get());
    } catch (const std::exception& error) {
        send_note(channel.get(), NoteKind::failed, error.what());
    }
    ::_exit(kSetupFailed);
}

}  // namespace sallyport::container
