#include "gateway/secrets/run_command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>

#include "gateway/base/unique_fd.hpp"
#include "gateway/secrets/secret_value.hpp"

namespace sallyport::secrets {
namespace {

using Clock = std::chrono::steady_clock;

Error failed(const std::string& what, int error_number) {
    return {ErrorKind::io, what + ": " + std::strerror(error_number)};
}

struct FileActions {
    FileActions() { ::posix_spawn_file_actions_init(&actions); }
    ~FileActions() { ::posix_spawn_file_actions_destroy(&actions); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;
    posix_spawn_file_actions_t actions;
};

struct SpawnAttributes {
    SpawnAttributes() { ::posix_spawnattr_init(&attributes); }
    ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes); }
    SpawnAttributes(const SpawnAttributes&) = delete;
    SpawnAttributes& operator=(const SpawnAttributes&) = delete;
    posix_spawnattr_t attributes;
};

/// A child that leads its own process group. The group is killed and the child reaped when this is destroyed.
class Child {
public:
    explicit Child(pid_t pid)
        : pid_(pid), exited_(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<long>(pid), 0L))) {}
    ~Child() {
        if (!reaped_) ::kill(-pid_, SIGKILL);
        wait();
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// Readable once the child has ended.
    int exited() const { return exited_.get(); }
    /// Blocks; nullopt when the status is not to be had.
    std::optional<int> wait() {
        while (!reaped_) {
            if (::waitpid(pid_, &status_, 0) == pid_) has_status_ = reaped_ = true;
            else if (errno != EINTR) reaped_ = true;
        }
        return has_status_ ? std::optional(status_) : std::nullopt;
    }

private:
    pid_t pid_;
    UniqueFd exited_;
    int status_ = 0;
    bool reaped_ = false;
    bool has_status_ = false;
};

/// The pid, or errno negated.
pid_t spawn(const std::vector<std::string>& command, int output) {
    FileActions files;
    ::posix_spawn_file_actions_addopen(&files.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files.actions, output, STDOUT_FILENO);
    SpawnAttributes spawned;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&spawned.attributes, &none);
    ::posix_spawnattr_setsigdefault(&spawned.attributes, &all);
    ::posix_spawnattr_setpgroup(&spawned.attributes, 0);
    ::posix_spawnattr_setflags(&spawned.attributes,
                               POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<char*> arguments;
    for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    pid_t pid = -1;
    const int error =
        ::posix_spawnp(&pid, arguments[0], &files.actions, &spawned.attributes, arguments.data(), environ);
    return error == 0 ? pid : -error;
}

/// Appends what is there, in place. True at the end of the output.
Result<bool> drain(int pipe, std::string& output) {
    while (true) {
        const auto used = output.size();
        output.resize(kMaxSecretBytes + 1);
        const auto got = ::read(pipe, output.data() + used, output.size() - used);
        const int error = errno;
        output.resize(used + (got > 0 ? static_cast<std::size_t>(got) : 0));
        if (output.size() > kMaxSecretBytes) return Error{ErrorKind::too_large, "wrote more than 64 KiB"};
        if (got == 0) return true;
        if (got < 0 && error == EAGAIN) return false;
        if (got < 0 && error != EINTR) return failed("cannot be read from", error);
    }
}

/// Reads until the child has ended: its descendants may keep the pipe open, and it may close the pipe and go on.
Result<void> collect(const Child& child, int pipe, std::string& output, Clock::time_point deadline) {
    std::array<pollfd, 2> events{pollfd{child.exited(), POLLIN, 0}, pollfd{pipe, POLLIN, 0}};
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) return Error{ErrorKind::timed_out, "took too long"};
        if (::poll(events.data(), events.size(), static_cast<int>(left)) < 0 && errno != EINTR)
            return failed("cannot be waited for", errno);
        const bool ended = (events[0].revents & POLLIN) != 0;
        if (ended || events[1].revents != 0) {
            const auto at_end = drain(pipe, output);
            if (!at_end) return at_end.error();
            if (*at_end) events[1].fd = -1;
        }
        if (ended) return {};
    }
}

}  // namespace

Result<std::string> run_command(const std::vector<std::string>& command, std::chrono::milliseconds time_limit) {
    const auto deadline = Clock::now() + time_limit;
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed("cannot be given a pipe", errno);
    const UniqueFd input(ends[0]);
    UniqueFd output(ends[1]);
    ::fcntl(input.get(), F_SETFL, O_NONBLOCK);
    const pid_t pid = spawn(command, output.get());
    output.reset();
    if (pid < 0) return failed("cannot be started", -pid);
    Child child(pid);
    if (child.exited() < 0) return failed("cannot be watched", errno);

    std::string text;
    text.reserve(kMaxSecretBytes + 1);  // no growing, which would leave copies of the secret behind
    auto collected = collect(child, input.get(), text, deadline);
    const auto status = collected ? child.wait() : std::nullopt;
    if (status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0) return text;

    const CleanseAtExit cleanse(text);
    if (!collected) return collected.error();
    if (status && WIFEXITED(*status))
        return Error{ErrorKind::io, "exited with status " + std::to_string(WEXITSTATUS(*status))};
    if (status && WIFSIGNALED(*status))
        return Error{ErrorKind::io, "was killed by signal " + std::to_string(WTERMSIG(*status))};
    return Error{ErrorKind::io, "ended, but its status is unknown"};
}

}  // namespace sallyport::secrets
