#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>

#include "container/files.hpp"
#include "tests/support/guarded_run.hpp"
#include "tests/support/netns_fixture.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

GuardedOptions as(bool nobody) {
    GuardedOptions options;
    options.as_nobody = nobody;
    return options;
}

/// "WHAT: ok" or "WHAT: ENAME", one line.
void report(const char* what, long result) {
    std::printf("%s: %s\n", what, result >= 0 ? "ok" : ::strerrorname_np(errno));
}

void report_socket(const char* what, long family) { report(what, ::syscall(SYS_socket, family, SOCK_STREAM, 0)); }

#ifdef __x86_64__
/// The 32-bit system call table, reachable from any 64-bit program.
long call_32_bit(long number, long first, long second, long third) {
    long result = number;
    asm volatile("int $0x80" : "+a"(result) : "b"(first), "c"(second), "d"(third) : "memory", "r8", "r9", "r10", "r11");
    errno = static_cast<int>(-result);
    return result;
}
constexpr long kSocket32 = 359, kSocketPair32 = 360, kSocketCall32 = 102, kGetPid32 = 20;
constexpr long kX32 = 0x40000000;

/// False on a kernel without 32-bit calls, which ends the process.
bool has_32_bit_calls() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(call_32_bit(kGetPid32, 0, 0, 0) > 0 ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status == 0;
}
#endif

/// A folder that everybody may use, removed with all in it.
class TempFolder {
public:
    explicit TempFolder(const std::string& base) : path_(base + "/sallyport-XXXXXX") {
        if (!::mkdtemp(path_.data())) throw std::runtime_error("mkdtemp " + path_);
        ::chmod(path_.c_str(), 0777);
    }
    ~TempFolder() { std::filesystem::remove_all(path_); }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

/// A folder with a secret file, a link to it, and a directory with a secret: all of them to be hidden.
class Hidden {
public:
    explicit Hidden(bool nobody) : folder_("/tmp"), nobody_(nobody) {
        std::filesystem::create_directory(path() + "/state");
        container::write_file(path() + "/key", "the-real-secret", 0644);
        container::write_file(path() + "/state/ca.key", "the-real-secret", 0644);
        std::filesystem::create_symlink("key", path() + "/link");
        if (nobody && ::chown(path().c_str(), 65534, 65534) != 0) throw std::runtime_error("chown");
    }
    const std::string& path() const { return folder_.path(); }
    GuardedOptions options() const {
        auto options = as(nobody_);
        options.hidden = {{path() + "/link", "placeholder"}, {path() + "/state", ""}, {"/does/not/exist", ""}};
        return options;
    }

private:
    TempFolder folder_;
    bool nobody_;
};

UniqueFd unix_socket(const std::string& path, bool listening) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    if (path[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '@' ? 0 : 1));
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto* plain = reinterpret_cast<const sockaddr*>(&address);
    const bool done = listening ? ::bind(fd.get(), plain, size) == 0 && ::listen(fd.get(), 8) == 0
                                : ::connect(fd.get(), plain, size) == 0;
    if (!done) fd.reset();
    if (listening && path[0] != '@') ::chmod(path.c_str(), 0777);
    return fd;
}

}  // namespace

TEST_CASE("isolation: no capability beyond Docker's default set, whoever the command is") {
    constexpr unsigned long long kDockerDefault = 0xa80425fb;
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const auto outcome = run_guarded({"cat", "/proc/self/status"}, as(nobody));
        for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
            CAPTURE(set);
            const auto at = outcome.output.find(set);
            REQUIRE(at != outcome.output.npos);
            CHECK((std::stoull(outcome.output.substr(at + 8, 16), nullptr, 16) & ~kDockerDefault) == 0);
        }
        CHECK(outcome.says("NoNewPrivs:\t1"));
        CHECK(outcome.says("Seccomp:\t2"));
        if (nobody) CHECK(outcome.says("CapEff:\t0000000000000000"));
    }
}

TEST_CASE("probe: system calls" * doctest::skip()) {
    for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}) {
        const int type = family == AF_NETLINK ? SOCK_RAW : SOCK_STREAM;
        report(("family " + std::to_string(family)).c_str(), ::socket(family, type, 0));
    }
    report_socket("vsock", AF_VSOCK);
    report_socket("vsock, upper half set", (1L << 32) | AF_VSOCK);
    report_socket("xdp", 44);
    report_socket("alg", 38);
    report_socket("family 64", 64);
    report_socket("family -1", -1);
    int pair[2];
    report("socketpair", ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    report("socketpair tipc", ::socketpair(AF_TIPC, SOCK_STREAM, 0, pair));
    char letter = 'x';
    report("TIOCSTI", ::syscall(SYS_ioctl, 0, TIOCSTI, &letter));
    report("TIOCSTI, upper half set", ::syscall(SYS_ioctl, 0, (1L << 32) | TIOCSTI, &letter));
    report("TIOCLINUX", ::syscall(SYS_ioctl, 0, TIOCLINUX, &letter));
    char params[120] = {};
    report("io_uring", ::syscall(SYS_io_uring_setup, 4, params));
    report("request_key", ::syscall(SYS_request_key, "user", "x", "y", -3));
    report("add_key", ::syscall(SYS_add_key, "user", "x", "y", 1, -3));
    report("keyctl", ::syscall(SYS_keyctl, 0, -3, 0, 0, 0));
#ifdef __x86_64__
    report("x32", ::syscall(kX32 | SYS_socket, AF_INET, SOCK_STREAM, 0));
    report("32-bit getpid", call_32_bit(kGetPid32, 0, 0, 0));
    report("32-bit inet", call_32_bit(kSocket32, AF_INET, SOCK_STREAM, 0));
    report("32-bit vsock", call_32_bit(kSocket32, AF_VSOCK, SOCK_STREAM, 0));
    report("32-bit socketpair tipc", call_32_bit(kSocketPair32, AF_TIPC, SOCK_STREAM, 0));
    report("socketcall socket", call_32_bit(kSocketCall32, 1, 0, 0));
    report("socketcall socketpair", call_32_bit(kSocketCall32, 8, 0, 0));
#endif
}

TEST_CASE("isolation: system calls that reach past the namespaces are refused, in every calling convention") {
    for (const bool nobody : each_user()) {
        const auto outcome = run_guarded(probe("probe: system calls"), as(nobody));
        for (const auto* allowed : {"family 1", "family 2", "family 10", "family 16", "socketpair"})
            CHECK_MESSAGE(outcome.says(std::string(allowed) + ": ok\n"), outcome.output);
        for (const auto* refused :
             {"vsock", "vsock, upper half set", "xdp", "alg", "family 64", "family -1", "socketpair tipc"})
            CHECK_MESSAGE(outcome.says(std::string("\n") + refused + ": EAFNOSUPPORT\n"), outcome.output);
        for (const auto* refused : {"TIOCSTI", "TIOCSTI, upper half set", "TIOCLINUX"})
            CHECK_MESSAGE(outcome.says(std::string("\n") + refused + ": EPERM\n"), outcome.output);
        for (const auto* refused : {"io_uring", "request_key", "add_key", "keyctl"})
            CHECK_MESSAGE(outcome.says(std::string("\n") + refused + ": ENOSYS\n"), outcome.output);
#ifdef __x86_64__
        CHECK_MESSAGE(outcome.says("x32: ENOSYS\n"), outcome.output);
        if (has_32_bit_calls()) {
            CHECK_MESSAGE(outcome.says("32-bit getpid: ok\n"), outcome.output);
            CHECK_MESSAGE(outcome.says("32-bit inet: ok\n"), outcome.output);
            CHECK_MESSAGE(outcome.says("32-bit vsock: EAFNOSUPPORT\n"), outcome.output);
            CHECK_MESSAGE(outcome.says("32-bit socketpair tipc: EAFNOSUPPORT\n"), outcome.output);
            CHECK_MESSAGE(outcome.says("socketcall socket: ENOSYS\n"), outcome.output);
            CHECK_MESSAGE(outcome.says("socketcall socketpair: ENOSYS\n"), outcome.output);
        }
#endif
    }
}

TEST_CASE("probe: gateway" * doctest::skip()) {
    const auto pid = static_cast<pid_t>(std::stol(std::getenv("GATEWAY")));
    report("kill gateway", ::kill(pid, SIGKILL));
    report("ptrace gateway", ::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr));
    report("gateway in /proc", ::access(("/proc/" + std::to_string(pid)).c_str(), F_OK));
    report("ptrace init", ::ptrace(PTRACE_SEIZE, 1, nullptr, nullptr));
    for (const auto* file : {"environ", "mem", "maps", "root/etc/passwd", "cwd/etc/passwd", "fd/0", "map_files"})
        report((std::string("init ") + file).c_str(), ::open((std::string("/proc/1/") + file).c_str(), O_RDONLY));
    report("init fd", ::open("/proc/1/fd/3", O_RDWR));
    ::kill(1, SIGKILL);
    ::kill(1, SIGTERM);
    ::kill(1, SIGSTOP);
    report("alive", 0);
}

TEST_CASE("isolation: the gateway and the init process are out of reach") {
    for (const bool nobody : each_user()) {
        auto options = as(nobody);
        options.environment.push_back("GATEWAY=1");
        // The number is only known in the gateway's process, which is where this runs.
        options.before_start = [] { ::setenv("SECRET", "the-real-secret", 1); };
        options.environment.back() = "GATEWAY=" + std::to_string(::getpid());
        const auto outcome = run_guarded(probe("probe: gateway"), options);
        CHECK_MESSAGE(outcome.says("kill gateway: ESRCH"), outcome.output);
        CHECK_MESSAGE(outcome.says("ptrace gateway: ESRCH"), outcome.output);
        CHECK_MESSAGE(outcome.says("gateway in /proc: ENOENT"), outcome.output);
        CHECK_MESSAGE(outcome.says("ptrace init: EPERM"), outcome.output);
        for (const auto* file : {"environ", "mem", "root/etc/passwd", "cwd/etc/passwd", "fd/0", "fd"}) {
            CAPTURE(file);
            const bool refused = outcome.says(std::string("init ") + file + ": EACCES") ||
                                 outcome.says(std::string("init ") + file + ": EPERM");
            CHECK_MESSAGE(refused, outcome.output);
        }
        CHECK_MESSAGE(outcome.says("alive: ok"), outcome.output);
        const auto search =
            run_script("cat /proc/*/environ /proc/*/cmdline 2>/dev/null | grep -c 'the-real-secre[t]'", options);
        CHECK(search.output == "0\n");
    }
}

TEST_CASE("isolation: network and mounts cannot be changed") {
    for (const bool nobody : each_user()) {
        const auto outcome = run_script(
            "ip link add dummy0 type dummy && echo BAD; ip route del default && echo BAD;"
            "nft flush ruleset && echo BAD; mount -t tmpfs none /mnt && echo BAD;"
            "umount /run && echo BAD; umount /proc && echo BAD; mount -o remount,rw /run/sallyport && echo BAD;"
            "mknod /tmp/sallyport-mknod b 1 0 && echo BAD; echo x >/run/sallyport/ca.pem && echo BAD; echo end",
            as(nobody));
        CHECK_MESSAGE(outcome.says("end\n"), outcome.output);
        CHECK_FALSE_MESSAGE(outcome.says("BAD"), outcome.output);
    }
}

TEST_CASE("isolation: a root command finds the kernel's own files read-only and no raw device") {
    if (::geteuid() != 0) return skip("not root");
    if (each_user().empty()) return;
    const auto outcome = run_script(
        "for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sysrq-trigger "
        "/sys/kernel/uevent_helper;"
        " do (true <>$f) 2>/dev/null && echo BAD $f; done;"
        "for f in /sys/fs/cgroup/release_agent /sys/fs/cgroup/*/release_agent; do (true <>$f) 2>/dev/null && echo BAD "
        "$f; done;"
        "find /dev -xdev -type b; mkdir /sys/fs/cgroup/x 2>/dev/null && echo BAD cgroup; echo end");
    CHECK_MESSAGE(outcome.says("end\n"), outcome.output);
    CHECK_FALSE_MESSAGE(outcome.says("BAD"), outcome.output);
    CHECK_FALSE_MESSAGE(outcome.says("/dev/"), outcome.output);
    CHECK(run_script("script -qec tty /dev/null").says("/dev/pts/"));  // terminals still work there
}

TEST_CASE("probe: sockets" * doctest::skip()) {
    for (const auto* name : {"SOCKET_TMP", "SOCKET_RUN", "SOCKET_ELSEWHERE", "SOCKET_ABSTRACT"})
        if (const auto* path = std::getenv(name)) report(name, unix_socket(path, false) ? 0 : -1);
}

TEST_CASE("isolation: unix sockets of programs outside cannot be reached") {
    for (const bool nobody : each_user()) {
        const TempFolder temp("/tmp");
        std::optional<TempFolder> elsewhere;
        if (::geteuid() == 0) elsewhere.emplace("/var");
        auto options = as(nobody);
        std::vector<UniqueFd> listeners;
        const auto listen = [&](const char* name, const std::string& path) {
            listeners.push_back(unix_socket(path, true));
            REQUIRE(listeners.back());
            REQUIRE(unix_socket(path, false));  // it is a way in from here
            options.environment.push_back(std::string(name) + "=" + path);
        };
        listen("SOCKET_TMP", temp.path() + "/bus");
        listen("SOCKET_ABSTRACT", "@sallyport-test-" + std::to_string(::getpid()));
        if (elsewhere) listen("SOCKET_ELSEWHERE", elsewhere->path() + "/docker.sock");
        if (::geteuid() == 0) listen("SOCKET_RUN", "/run/sallyport-test.sock");

        const auto outcome = run_guarded(probe("probe: sockets"), options);
        ::unlink("/run/sallyport-test.sock");
        CHECK_MESSAGE(outcome.says("SOCKET_TMP: ECONNREFUSED"), outcome.output);
        CHECK_MESSAGE(outcome.says("SOCKET_ABSTRACT: ECONNREFUSED"), outcome.output);
        if (::geteuid() == 0) CHECK_MESSAGE(outcome.says("SOCKET_ELSEWHERE: ECONNREFUSED"), outcome.output);
        if (::geteuid() == 0) CHECK_MESSAGE(outcome.says("SOCKET_RUN: ENOENT"), outcome.output);
        CHECK_FALSE_MESSAGE(outcome.says(": ok"), outcome.output);
    }
}

TEST_CASE("isolation: hidden files show what they are told to, hidden directories nothing") {
    for (const bool nobody : each_user()) {
        const Hidden hidden(nobody);
        const auto outcome =
            run_script("cd " + hidden.path() + "; cat key link; ls -A state | wc -l; grep -rc real . | grep -v :0",
                       hidden.options());
        CHECK_MESSAGE(outcome.output == "placeholderplaceholder0\n", outcome.output);
    }
}

TEST_CASE("isolation: what is hidden cannot be moved away, covered sockets neither") {
    for (const bool nobody : each_user()) {
        const Hidden hidden(nobody);
        const auto outcome = run_script(
            "cd " + hidden.path() +
                "; umount $PWD/key $PWD/state; umount -l $PWD/state; umount -l /proc; umount -l /run;"
                "mv state moved; rm -rf key state; mv key moved; ln key key2; cp key key3;"
                "mv $PWD ${PWD}x && echo BAD; cat key; cat */*; grep -rs the-real . ; ls -A state moved; echo end",
            hidden.options());
        CHECK_MESSAGE(outcome.says("placeholder"), outcome.output);
        CHECK_MESSAGE(outcome.says("end\n"), outcome.output);
        CHECK_FALSE_MESSAGE(outcome.says("BAD"), outcome.output);
        CHECK_FALSE_MESSAGE(outcome.says("the-real-secret"), outcome.output);
        CHECK_FALSE_MESSAGE(outcome.says("ca.key"), outcome.output);
    }
}

TEST_CASE("isolation: root of a nested user namespace uncovers nothing") {
    for (const bool nobody : each_user()) {
        const Hidden hidden(nobody);
        auto options = hidden.options();
        options.environment.push_back("D=" + hidden.path());
        const auto outcome = run_guarded(
            {"unshare", "-Urm", "sh", "-c",
             // It has the power to mount...
             "id -u; mount -t tmpfs none /mnt && mkdir /mnt/a /mnt/b /mnt/c && echo can mount;"
             // ...but neither to take a cover off,
             "for m in $D/key $D/state /run /run/sallyport /proc; do umount $m && echo BAD $m; umount -l $m && echo "
             "BAD $m; done;"
             "mount -o remount,bind,rw /run/sallyport && echo BAD; mount --move $D/state /mnt/c && echo BAD;"
             // ...nor to look at the file system without the covers,
             "mount --bind / /mnt/a && echo BAD; mount --bind $D /mnt/b && echo BAD;"
             // ...nor to take them off a copy.
             "mount --rbind $D /mnt/c && echo copied; umount /mnt/c/key && echo BAD; umount -l /mnt/c/state && echo "
             "BAD;"
             "cat /mnt/*/key $D/key; ls -A /mnt/a /mnt/b /mnt/c/state $D/state; grep -rs the-real-secret $D /mnt; "
             "ls -d /run/systemd; echo end"},
            options);
        CHECK_MESSAGE(outcome.output.starts_with("0\ncan mount\n"), outcome.output);
        CHECK_MESSAGE(outcome.says("copied\n"), outcome.output);
        CHECK_MESSAGE(outcome.says("placeholderplaceholder"), outcome.output);
        CHECK_MESSAGE(outcome.says("end\n"), outcome.output);
        CHECK_FALSE_MESSAGE(outcome.says("the-real-secret"), outcome.output);
        CHECK_FALSE_MESSAGE(outcome.says("ca.key"), outcome.output);
        CHECK_FALSE_MESSAGE(outcome.says("BAD"), outcome.output);
        CHECK_FALSE_MESSAGE(outcome.says("\n/run/systemd\n"), outcome.output);
    }
}

TEST_CASE("isolation: a hidden file is hidden under every name that a bind mount gives it") {
    if (::geteuid() != 0) return skip("only root can make a bind mount for the test");
    for (const bool nobody : each_user()) {
        const Hidden hidden(nobody);
        const TempFolder alias("/tmp");
        auto options = hidden.options();
        options.before_start = [&] {
            if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                ::mount(hidden.path().c_str(), alias.path().c_str(), nullptr, MS_BIND, nullptr) != 0)
                ::_exit(1);
        };
        const auto outcome =
            run_script("cat " + alias.path() + "/key; ls -A " + alias.path() + "/state; echo end", options);
        CHECK_MESSAGE(outcome.output == "placeholderend\n", outcome.output);
    }
}
