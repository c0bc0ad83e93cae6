#include "tests/support/netns_fixture.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "container/socket_handover.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::test {
namespace {

constexpr int kDeadlineMs = 10'000;
constexpr char kValue = 'v';
constexpr char kException = 'e';

void write_all(int fd, const std::string& bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
        const auto n = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (n <= 0) return;  // the parent sees a short answer
        done += static_cast<std::size_t>(n);
    }
}

void write_file(const std::string& path, const std::string& text) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || ::write(fd.get(), text.data(), text.size()) < 0) throw system_error("write " + path, errno);
}

void become_root_of_new_namespaces() {
    const auto uid = std::to_string(::geteuid());
    const auto gid = std::to_string(::getegid());
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) != 0) throw system_error("unshare", errno);
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", "0 " + uid + " 1");
    write_file("/proc/self/gid_map", "0 " + gid + " 1");
}

template <class F>
[[noreturn]] void answer_and_exit(int output, F body) {
    try {
        write_all(output, kValue + body());
    } catch (const std::exception& error) {
        write_all(output, kException + std::string(error.what()));
    }
    ::_exit(0);
}

struct Pipe {
    UniqueFd read_end, write_end;
};

Pipe make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("pipe", errno);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

UniqueFd open_namespace(pid_t pid, const char* kind) {
    const auto path = "/proc/" + std::to_string(pid) + "/ns/" + kind;
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw system_error("open " + path, errno);
    return fd;
}

}  // namespace

ChildTask::~ChildTask() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

std::string ChildTask::wait() {
    std::string bytes;
    std::array<char, 4096> buffer;
    for (;;) {
        pollfd ready{output_.get(), POLLIN, 0};
        if (::poll(&ready, 1, kDeadlineMs) != 1) throw std::runtime_error("the child did not answer in time");
        const auto n = ::read(output_.get(), buffer.data(), buffer.size());
        if (n <= 0) break;
        bytes.append(buffer.data(), static_cast<std::size_t>(n));
    }
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
    if (bytes.empty()) throw std::runtime_error("the child crashed");
    if (bytes.front() == kException) throw std::runtime_error(bytes.substr(1));
    return bytes.substr(1);
}

std::optional<Namespaces> Namespaces::create() {
    auto ready = make_pipe();
    auto hold = make_pipe();
    const pid_t pid = ::fork();
    if (pid < 0) throw system_error("fork", errno);
    if (pid == 0) {
        hold.write_end.reset();
        answer_and_exit(ready.write_end.get(), [&] {
            become_root_of_new_namespaces();
            write_all(ready.write_end.get(), "+");
            char byte = 0;
            (void)!::read(hold.read_end.get(), &byte, 1);  // until the parent has opened the namespaces
            return std::string();
        });
    }
    ready.write_end.reset();
    ChildTask child(pid, UniqueFd());
    char first = 0;
    std::array<char, 256> text{};
    if (::read(ready.read_end.get(), &first, 1) == 1 && first == '+')
        return Namespaces(open_namespace(pid, "user"), open_namespace(pid, "net"), open_namespace(pid, "mnt"));
    (void)!::read(ready.read_end.get(), text.data(), text.size() - 1);
    skip(std::string("no namespaces here: ") + text.data());
    return std::nullopt;
}

ChildTask Namespaces::fork_inside(const std::function<std::string()>& body) const {
    auto output = make_pipe();
    const pid_t pid = ::fork();
    if (pid < 0) throw system_error("fork", errno);
    if (pid == 0)
        answer_and_exit(output.write_end.get(), [&] {
            for (const auto* space : {&user_, &net_, &mount_})
                if (::setns(space->get(), 0) != 0) throw system_error("setns", errno);
            return body();
        });
    return ChildTask(pid, std::move(output.read_end));
}

std::optional<Sealed> Sealed::create() {
    auto inside = Namespaces::create();
    if (!inside) return std::nullopt;
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) throw system_error("socketpair", errno);
    const UniqueFd here(pair[0]);
    const UniqueFd there(pair[1]);
    inside->run([&] {
        container::send_sockets(there.get(), container::seal_namespace());
        return true;
    });
    return Sealed{std::move(*inside), container::receive_sockets(here.get())};
}

}  // namespace sallyport::test
