#include "gateway/app/harden.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstddef>
#include <cstdio>

namespace sallyport::app {
namespace {

// Below 8 MiB, what Linux lets every process lock since 5.16. Keys of handshakes under way are in it too, 64 bytes
// each.
constexpr std::size_t kArenaBytes = 4 * 1024 * 1024;
constexpr std::size_t kSmallestBlock = 64;
constexpr int kLocked = 1;  // CRYPTO_secure_malloc_init(3)

rlimit raised(__rlimit_resource which) {
    rlimit limit{};
    if (::getrlimit(which, &limit) != 0) return limit;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(which, &limit);
    return limit;
}

/// What a request carries is in ordinary memory while it is under way.
void lock_everything() {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_MEMLOCK, &unlimited);  // root's to do
    if (raised(RLIMIT_MEMLOCK).rlim_cur == RLIM_INFINITY) ::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

}  // namespace

bool harden() {
    ::prctl(PR_SET_DUMPABLE, 0);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    raised(RLIMIT_NOFILE);
    lock_everything();
    return CRYPTO_secure_malloc_init(kArenaBytes, kSmallestBlock) == kLocked;
}

void warn_of_swap() {
    fmt::print(stderr,
               "sallyport: the memory of secrets cannot be locked, and could get into swap space: let this user "
               "lock 4 MiB (ulimit -l 4096)\n");
}

}  // namespace sallyport::app
