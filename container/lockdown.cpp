#include "container/lockdown.hpp"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "gateway/base/unique_fd.hpp"

namespace sallyport::container {
namespace {

// ---- system calls

constexpr std::array kCalls = {
    // memory, but not to be executed: mmap and mprotect are below
    "brk",
    "madvise",
    "mlock",
    "mlock2",
    "mremap",
    "munlock",
    "munmap",
    // threads; clone is below, and clone3, whose arguments no filter sees, falls back to it
    "exit",
    "exit_group",
    "futex",
    "futex_time64",
    "getcpu",
    "getpid",
    "gettid",
    "membarrier",
    "rseq",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    // descriptors
    "close",
    "dup",
    "dup2",
    "dup3",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_wait",
    "eventfd2",
    "fcntl",
    "fcntl64",
    "pipe2",
    "poll",
    "ppoll",
    "ppoll_time64",
    "pread64",
    "read",
    "readv",
    "select",
    "pselect6",
    "signalfd4",
    "splice",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_settime64",
    "write",
    "writev",
    // files, to be read: openat is below
    "access",
    "faccessat",
    "faccessat2",
    "fstat",
    "fstat64",
    "fstatfs",
    "getcwd",
    "getdents64",
    "lseek",
    "_llseek",
    "newfstatat",
    "fstatat64",
    "readlink",
    "readlinkat",
    "stat",
    "statx",
    // sockets: socket is below
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "recv",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "send",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    // time
    "clock_getres",
    "clock_gettime",
    "clock_gettime64",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "gettimeofday",
    "nanosleep",
    "restart_syscall",
    "time",
    // signals, and the end of a sandbox
    "pidfd_send_signal",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "sigreturn",
    "wait4",
    "waitid",
    // who and where we are
    "getegid",
    "geteuid",
    "getgid",
    "getpgrp",
    "getrandom",
    "getrlimit",
    "getuid",
    "sysinfo",
    "ugetrlimit",
    "uname",
};

struct ReleaseFilter {
    void operator()(scmp_filter_ctx filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, ReleaseFilter>;

/// True as well for a call that this machine's kernels never had: there is nothing to allow then.
bool allow(const Filter& filter, const char* name, std::initializer_list<scmp_arg_cmp> conditions = {}) {
    const int call = seccomp_syscall_resolve_name(name);
    if (call == __NR_SCMP_ERROR) return true;
    return seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call, static_cast<unsigned>(conditions.size()),
                                  conditions.begin()) == 0;
}

/// "These bits of that argument are `value`"; what is an int has nothing above them (as in isolation.cpp).
scmp_arg_cmp bits(unsigned argument, std::uint64_t mask, std::uint64_t value) {
    return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}
scmp_arg_cmp is(unsigned argument, std::uint64_t value) { return bits(argument, 0xffffffff, value); }

bool allow_with_conditions(const Filter& filter) {
    bool good = allow(filter, "clone", {bits(0, CLONE_THREAD, CLONE_THREAD)});
    for (const char* call : {"mmap", "mmap2", "mprotect"}) good = good && allow(filter, call, {bits(2, PROT_EXEC, 0)});
    good = good && allow(filter, "openat", {bits(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)});
    for (const auto family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK})  // the last for our own addresses (c-ares)
        good = good && allow(filter, "socket", {is(0, static_cast<std::uint64_t>(family))});
    for (const auto request : {FIONBIO, FIONREAD, TCGETS, TIOCGPGRP, TIOCSPGRP})
        good = good && allow(filter, "ioctl", {is(1, static_cast<std::uint64_t>(request))});
    // Ourselves: abort(3), raise(3) and our own limits.
    good = good && allow(filter, "tgkill", {is(0, static_cast<std::uint64_t>(::getpid()))});
    return good && allow(filter, "prlimit64", {is(0, 0)});
}

// ---- files

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kFirstRights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
constexpr std::uint64_t kRefer = 1 << 13, kTruncate = 1 << 14;  // of versions 2 and 3; older headers lack them

std::uint64_t all_rights(long version) {
    return kFirstRights | (version >= 2 ? kRefer : 0) | (version >= 3 ? kTruncate : 0);
}

}  // namespace

bool allow_named_calls() {
    const Filter filter(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)));  // another architecture's calls: killed
    bool good = static_cast<bool>(filter);
    for (const char* call : kCalls) good = good && allow(filter, call);
    return good && allow_with_conditions(filter) && seccomp_load(filter.get()) == 0;
}

/// landlock(7). What is open already stays as it is.
bool make_files_read_only() {
    const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) return false;
    landlock_ruleset_attr handled{};
    handled.handled_access_fs = all_rights(version);
    const UniqueFd rules(
        static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled.handled_access_fs, 0)));
    const UniqueFd root(::open("/", O_PATH | O_CLOEXEC));
    landlock_path_beneath_attr readable{};
    readable.allowed_access = kRead;
    readable.parent_fd = root.get();
    return rules && root &&
           ::syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &readable, 0) == 0 &&
           ::syscall(SYS_landlock_restrict_self, rules.get(), 0) == 0;
}

Confinement lock_down() {
    Confinement confined;
    confined.files = make_files_read_only();  // needs calls that the filter does not name
    confined.system_calls = allow_named_calls();
    return confined;
}

}  // namespace sallyport::container
