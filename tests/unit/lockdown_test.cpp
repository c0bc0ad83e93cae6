// What a serving process can still do once it is locked down, tried in a child.
#include "container/lockdown.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "container/process_status.hpp"
#include "gateway/base/unique_fd.hpp"

using namespace sallyport;
using namespace sallyport::container;

namespace {

struct Try {
    const char* what;
    std::function<bool()> works;
};

bool opens(const char* path, int flags) { return static_cast<bool>(UniqueFd(::open(path, flags | O_CLOEXEC, 0600))); }

/// Those of `tries` that work in a child after `confine`; "cannot" when that did not work.
std::vector<std::string> what_works(const std::function<bool()>& confine, const std::vector<Try>& tries) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd input(ends[0]);
    UniqueFd output(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) {
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (!confine()) (void)!::write(output.get(), "cannot\n", 7);
        for (const auto& one : tries) {
            const auto line = one.works() ? one.what + std::string("\n") : std::string();
            (void)!::write(output.get(), line.data(), line.size());
        }
        ::_exit(0);
    }
    output.reset();
    std::string text;
    char block[4096];
    for (ssize_t n = 0; (n = ::read(input.get(), block, sizeof block)) > 0;)
        text.append(block, static_cast<std::size_t>(n));
    ::waitpid(child, nullptr, 0);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
        lines.push_back(text.substr(at, text.find('\n', at) - at));
    return lines;
}

void* map(int protection) { return ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

bool starts_a_process() {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    return pid > 0 && ::waitpid(pid, nullptr, 0) == pid;
}

const std::vector<Try> kAttacks = {
    {"a process", starts_a_process},
    {"a program",
     [] { return ::access("/bin/true", X_OK) == 0 && ::execl("/nonexistent", "x", nullptr) != 0 && errno == ENOENT; }},
    {"code in memory", [] { return map(PROT_READ | PROT_EXEC) != MAP_FAILED; }},
    {"memory made code", [] { return ::mprotect(map(PROT_READ), 4096, PROT_READ | PROT_EXEC) == 0; }},
    {"a file to write to", [] { return opens("/dev/null", O_WRONLY); }},
    {"a new file", [] { return opens("/tmp/sallyport-lockdown", O_RDONLY | O_CREAT); }},
    {"a file removed", [] { return ::unlink("/tmp/sallyport-lockdown-none") == 0 || errno == ENOENT; }},
    {"a mode changed", [] { return ::chmod("/nonexistent", 0600) == 0 || errno == ENOENT; }},
    {"a packet socket", [] { return ::socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno == EPERM; }},
    {"a vsock", [] { return ::socket(AF_VSOCK, SOCK_STREAM, 0) >= 0; }},
    {"tracing", [] { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0; }},
    {"being dumpable", [] { return ::prctl(PR_SET_DUMPABLE, 1) == 0; }},
    {"namespaces", [] { return ::syscall(SYS_unshare, 0) == 0; }},
    {"a signal to others", [] { return ::kill(::getppid(), 0) == 0; }},
    {"another's limits", [] { return ::syscall(SYS_prlimit64, ::getppid(), 7, nullptr, nullptr) == 0; }},
    {"keys", [] { return ::syscall(SYS_keyctl, 0, -3, 0) >= 0; }},
    {"io_uring", [] { return ::syscall(SYS_io_uring_setup, 0, nullptr) >= 0 || errno == EFAULT || errno == EINVAL; }},
    {"bpf", [] { return ::syscall(SYS_bpf, 0, nullptr, 0) >= 0 || errno == EINVAL || errno == EFAULT; }},
};

}  // namespace

TEST_CASE("lockdown: a serving process starts nothing, writes to no file, and makes no code and no odd socket") {
    // Without it most of these work, so that their failure means something.
    CHECK(what_works([] { return true; }, kAttacks).size() >= kAttacks.size() - 4);
    CHECK(what_works([] { return allow_named_calls(); }, kAttacks) == std::vector<std::string>());
}

TEST_CASE("lockdown: what serving needs works") {
    const std::vector<Try> needs = {
        {"threads",
         [] {
             bool ran = false;
             std::thread([&] { ran = true; }).join();
             return ran;
         }},
        {"reading", [] { return opens("/proc/self/status", O_RDONLY); }},
        {"listing", [] { return opens("/etc", O_RDONLY | O_DIRECTORY); }},
        {"tcp", [] { return ::socket(AF_INET6, SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT; }},
        {"udp", [] { return ::socket(AF_INET, SOCK_DGRAM, 0) >= 0; }},
        {"unix sockets", [] { return ::socket(AF_UNIX, SOCK_SEQPACKET, 0) >= 0; }},
        {"epoll", [] { return ::epoll_create1(EPOLL_CLOEXEC) >= 0; }},
        {"pipes",
         [] {
             int ends[2];
             return ::pipe2(ends, O_CLOEXEC) == 0;
         }},
        {"ending by a signal", [] { return ::raise(SIGURG) == 0; }},  // ignored by default
    };
    std::vector<std::string> all;
    for (const auto& need : needs) all.emplace_back(need.what);
    CHECK(what_works([] { return lock_down().system_calls; }, needs) == all);
}

TEST_CASE("lockdown: by Landlock alone no file can be made, changed, removed or executed, and every file be read") {
    if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) < 1) {
        std::puts("skipped: this kernel has no Landlock");
        if (std::getenv("CI")) FAIL("a test must not be skipped where CI is set");
        return;
    }
    char folder[] = "/tmp/sallyport-lockdown-XXXXXX";
    REQUIRE(::mkdtemp(folder));
    const auto path = [&](const char* name) { return std::string(folder) + "/" + name; };
    CHECK(opens(path("there").c_str(), O_WRONLY | O_CREAT));
    const std::vector<Try> tries = {
        {"read", [&] { return opens(path("there").c_str(), O_RDONLY); }},
        {"write", [&] { return opens(path("there").c_str(), O_WRONLY); }},
        {"make", [&] { return opens(path("new").c_str(), O_WRONLY | O_CREAT); }},
        {"make a folder", [&] { return ::mkdir(path("newer").c_str(), 0700) == 0; }},
        {"link", [&] { return ::symlink("x", path("link").c_str()) == 0; }},
        {"rename", [&] { return ::rename(path("there").c_str(), path("gone").c_str()) == 0; }},
        {"remove", [&] { return ::unlink(path("there").c_str()) == 0; }},
        {"execute", [] { return ::execl("/bin/true", "true", nullptr) == 0 || errno != EACCES; }},
    };
    CHECK(what_works([] { return make_files_read_only(); }, tries) == std::vector<std::string>{"read"});
    CHECK(::unlink(path("there").c_str()) == 0);
    CHECK(::rmdir(folder) == 0);  // nothing else was made
}

TEST_CASE("process status: what is good is said, and what is missing counts as bad") {
    const auto good = parse_process_status(
        "Name:\tsallyport\nUid:\t65532\t65532\t65532\t65532\nVmLck:\t    4096 kB\nCapInh:\t0000000000000000\n"
        "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\n"
        "NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n");
    CHECK(to_string(good) ==
          "user 65532, no capability, no new privileges, system calls filtered, secrets in locked memory");
    CHECK(to_string(parse_process_status("")) ==
          "user 0, WITH capabilities, MAY GAIN privileges, system calls NOT filtered, secrets NOT in locked memory");
}
