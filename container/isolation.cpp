#include "container/isolation.hpp"

#include <cap-ng.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <vector>

#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

constexpr std::array kDefaultCapabilities = {
    CAP_CHOWN,   CAP_DAC_OVERRIDE,     CAP_FOWNER,  CAP_FSETID,     CAP_KILL,        CAP_SETGID,  CAP_SETUID,
    CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_NET_RAW, CAP_SYS_CHROOT, CAP_AUDIT_WRITE, CAP_SETFCAP,
};

template <class List>
void keep(const List& capabilities) {
    capng_setpid(::gettid());  // the library remembers the number that we had before clone(2)
    capng_get_caps_process();
    std::vector<unsigned> kept;
    for (const unsigned capability : capabilities)
        if (capng_have_capability(CAPNG_PERMITTED, capability)) kept.push_back(capability);
    capng_clear(CAPNG_SELECT_BOTH);
    for (const auto capability : kept)
        capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET),
                     capability);
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 || capng_apply(CAPNG_SELECT_BOTH) != 0)
        throw StartupError("cannot take capabilities away from the sandbox");
}

// ---- system calls

struct ReleaseFilter {
    void operator()(scmp_filter_ctx filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, ReleaseFilter>;

/// An `int` or `unsigned` argument: the kernel ignores the upper half of the register, so the filter does as well
/// (CVE-2019-10063).
scmp_arg_cmp low_half(unsigned argument, std::uint64_t mask, std::uint64_t value) {
    return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}
constexpr std::uint64_t kLowHalf = 0xffffffff;

void refuse(const Filter& filter, int call, int error, const std::vector<scmp_arg_cmp>& conditions = {}) {
    const int result = seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(static_cast<std::uint32_t>(error)), call,
                                              static_cast<unsigned>(conditions.size()), conditions.data());
    if (result != 0) throw system_error("cannot build the system call filter", -result);
}

// Families that belong to the network namespace, and so to the seal. AF_VSOCK talks to the hypervisor from any
// namespace; of the others it is not known that none does.
void refuse_other_families(const Filter& filter) {
    constexpr std::array kFamilies = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET};
    constexpr unsigned kListedBits = 6;
    for (const int call : {SCMP_SYS(socket), SCMP_SYS(socketpair)}) {
        // "Not one of" cannot be said in one rule: each number below 64, then each higher bit.
        for (int family = 0; family < 1 << kListedBits; ++family)
            if (std::find(kFamilies.begin(), kFamilies.end(), family) == kFamilies.end())
                refuse(filter, call, EAFNOSUPPORT, {low_half(0, kLowHalf, static_cast<std::uint64_t>(family))});
        for (unsigned bit = kListedBits; bit < 32; ++bit)
            refuse(filter, call, EAFNOSUPPORT, {low_half(0, 1ull << bit, 1ull << bit)});
    }
}

// 32-bit programs run, through the same rules. socketcall(2) hides its arguments in memory: the two calls that would
// make a socket are refused there, and libraries that use it fall back to socket(2) on ENOSYS.
void add_32_bit(const Filter& filter) {
    constexpr std::uint64_t kSocketCallSocket = 1, kSocketCallSocketPair = 8;
    const auto native = seccomp_arch_native();
    if (native == SCMP_ARCH_AARCH64) seccomp_arch_add(filter.get(), SCMP_ARCH_ARM);
    if (native != SCMP_ARCH_X86_64) return;
    seccomp_arch_add(filter.get(), SCMP_ARCH_X86);
    for (const auto number : {kSocketCallSocket, kSocketCallSocketPair})
        refuse(filter, SCMP_SYS(socketcall), ENOSYS, {low_half(0, kLowHalf, number)});
}

}  // namespace

bool has_capability(int capability) {
    capng_get_caps_process();
    return capng_have_capability(CAPNG_EFFECTIVE, static_cast<unsigned>(capability)) != 0;
}

void keep_default_capabilities() { keep(kDefaultCapabilities); }

void keep_only_kill() { keep(std::array{CAP_KILL}); }

void give_up_privileges(const Account& account) {
    // While we still may: the bounding set needs CAP_SETPCAP, the user CAP_SETGID and CAP_SETUID.
    if (has_capability(CAP_SETPCAP)) {
        capng_clear(CAPNG_SELECT_BOUNDS);
        if (capng_apply(CAPNG_SELECT_BOUNDS) != 0) throw StartupError("cannot empty the capability bounding set");
    }
    become(account);
    capng_setpid(::gettid());
    capng_clear(CAPNG_SELECT_BOTH);
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 || capng_apply(CAPNG_SELECT_CAPS) != 0)
        throw StartupError("cannot give up the capabilities");
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw system_error("cannot set no_new_privs", errno);
    ::prctl(PR_SET_DUMPABLE, 0);  // after the change of user, which sets it anew
}

void filter_system_calls() {
    const Filter filter(seccomp_init(SCMP_ACT_ALLOW));
    if (!filter) throw StartupError("cannot build the system call filter: out of memory");
    // x32 and other foreign call tables.
    seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    add_32_bit(filter);
    refuse_other_families(filter);
    // Typing into the terminal that we share with programs outside.
    refuse(filter, SCMP_SYS(ioctl), EPERM, {low_half(1, kLowHalf, TIOCSTI)});
    refuse(filter, SCMP_SYS(ioctl), EPERM, {low_half(1, kLowHalf, TIOCLINUX)});
    // With a terminal we share a process group with the gateway and with the rest of its pipeline, and kill(0, ...)
    // knows no namespaces. The gateway blocks all signals but these; 32 and 33 belong to the C library's threads.
    for (const std::uint64_t number : {SIGKILL, 32, 33})
        refuse(filter, SCMP_SYS(kill), EPERM, {low_half(0, kLowHalf, 0), low_half(1, kLowHalf, number)});
    // A ring makes sockets without a system call that this filter would see.
    for (const int call : {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)})
        refuse(filter, call, ENOSYS);
    // The user's keys outside; and request_key(2) makes the kernel start a program outside, which looks up names.
    for (const int call : {SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl)}) refuse(filter, call, ENOSYS);
    if (const int result = seccomp_load(filter.get()); result != 0)  // sets no_new_privs as well
        throw system_error("cannot load the system call filter", -result);
}

}  // namespace sallyport::container
