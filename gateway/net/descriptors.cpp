#include "gateway/net/descriptors.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

#include "gateway/base/unique_fd.hpp"

namespace sallyport::net {

std::size_t most_descriptors() {
    rlimit files{};
    return ::getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 0;
}

bool descriptors_left() {
    const UniqueFd next(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    if (next && static_cast<std::size_t>(next.get()) + kReservedDescriptors < most_descriptors()) return true;
    errno = EMFILE;
    return false;
}

}  // namespace sallyport::net
