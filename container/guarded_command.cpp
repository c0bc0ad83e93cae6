#include "container/guarded_command.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <utility>

#include "container/channel.hpp"
#include "container/id_map.hpp"
#include "container/isolation.hpp"
#include "container/namespace_help.hpp"
#include "container/sandbox_init.hpp"
#include "container/socket_handover.hpp"
#include "container/trust_layout.hpp"
#include "container/unix_sockets.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

void set(std::vector<std::string>& environment, const std::vector<std::pair<std::string, std::string>>& variables) {
    for (const auto& variable : variables) {
        const auto key = variable.first + "=";
        std::erase_if(environment, [&](const std::string& entry) { return entry.starts_with(key); });
        environment.push_back(key + variable.second);
    }
}

std::string current_directory() {
    std::error_code error;
    auto directory = std::filesystem::current_path(error);
    if (error) throw StartupError("the current directory no longer exists; start from another one");
    return directory;
}

/// Collects what can only be known outside.
InitPlan make_plan(const GuardedSpec& spec, bool has_terminal) {
    if (spec.command.empty()) throw StartupError("no command to run");
    InitPlan plan;
    plan.command = spec.command;
    plan.environment = spec.environment;
    plan.directory = current_directory();
    plan.account = command_account(spec.environment);
    plan.user_namespace = !has_capability(CAP_SYS_ADMIN) || !has_capability(CAP_NET_ADMIN);
    plan.own_session = !has_terminal;
    plan.view = {plan.account.uid, plan.account.gid, spec.hidden, outside_unix_sockets()};
    set(plan.environment, plan.account.environment);
    plan.trust = trust_request(spec.ca_certificate, plan.environment, plan.account.uid == 0);
    set(plan.environment, trust_environment(plan.environment));
    return plan;
}

/// fork(2) with new namespaces. The pidfd goes to `process`; returns like fork.
pid_t clone_into_namespaces(bool user_namespace, UniqueFd& process) {
    const unsigned long flags =
        static_cast<unsigned long>(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_PIDFD | SIGCHLD) |
        (user_namespace ? static_cast<unsigned long>(CLONE_NEWUSER) : 0ul);
    int pidfd = -1;
    // clone, not clone3, which older container profiles answer with ENOSYS. The third argument is the same everywhere.
    const auto pid = static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, &pidfd, nullptr, nullptr));
    if (pid < 0) throw StartupError(explain_refusal(errno, read_namespace_settings()));
    if (pid > 0) process = UniqueFd(pidfd);
    return pid;
}

/// Closes every descriptor but the standard ones and this, which it moves to 3.
UniqueFd keep_only(UniqueFd fd) {
    constexpr int kFirst = STDERR_FILENO + 1;
    if (fd.get() != kFirst) fd.reset(::dup3(fd.get(), kFirst, O_CLOEXEC));
    ::close_range(kFirst + 1, ~0u, 0);
    return fd;
}

}  // namespace

GuardedCommand GuardedCommand::start(const GuardedSpec& spec) {
    Terminal terminal;
    const auto plan = make_plan(spec, static_cast<bool>(terminal));
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        throw system_error("cannot make a socket pair", errno);
    UniqueFd ours(ends[0]), theirs(ends[1]);

    UniqueFd process;
    const pid_t child = clone_into_namespaces(plan.user_namespace, process);
    if (child == 0) {
        ours.release();  // closed with all the others; its number may be the one that keep_only() takes
        run_init(plan, keep_only(std::move(theirs)));
    }
    theirs.reset();
    GuardedCommand command(std::move(process), std::move(ours), std::move(terminal));
    if (plan.user_namespace) {
        const auto note = receive_note(command.channel_.get());
        if (!note) throw StartupError("the sandbox ended before it was set up");
        write_id_maps(child);
        send_note(command.channel_.get(), NoteKind::mapped);
    }
    command.receive_setup();
    return command;
}

GuardedCommand::GuardedCommand(UniqueFd process, UniqueFd channel, Terminal terminal)
    : process_(std::move(process)), channel_(std::move(channel)), terminal_(std::move(terminal)) {}

GuardedCommand::GuardedCommand(GuardedCommand&& other) noexcept = default;

GuardedCommand::~GuardedCommand() { end_sandbox(); }

void GuardedCommand::receive_setup() {
    const auto note = receive_note(channel_.get());
    if (!note) throw StartupError("the sandbox was killed before it was set up");
    if (note->kind != NoteKind::ready) throw StartupError(note->payload);
    sockets_ = receive_sockets(channel_.get());
}

void GuardedCommand::withhold(const std::string& variable) { send_note(channel_.get(), NoteKind::withhold, variable); }

void GuardedCommand::release() { send_note(channel_.get(), NoteKind::go); }

void GuardedCommand::forward_signal(int number) { send_note(channel_.get(), NoteKind::signal, std::to_string(number)); }

int GuardedCommand::finish() {
    const auto note = receive_note(channel_.get());
    end_sandbox();
    if (!note) return SIGKILL;  // the wait status of a process killed by it
    if (note->kind == NoteKind::failed) throw StartupError(note->payload);
    int status = 0;
    std::from_chars(note->payload.data(), note->payload.data() + note->payload.size(), status);
    return status;
}

void GuardedCommand::end_sandbox() {
    if (!process_) return;
    channel_.reset();  // its first process ends by that too: root's is out of reach once we serve as somebody else
    ::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
    // Returns when the kernel has ended every process of the pid namespace. ECHILD: SIGCHLD is ignored here.
    siginfo_t info;
    while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(process_.get()), &info, WEXITED) != 0 &&
           errno == EINTR)
        continue;
    process_.reset();
    terminal_.restore();
}

}  // namespace sallyport::container
