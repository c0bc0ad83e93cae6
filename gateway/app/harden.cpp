#include "gateway/app/harden.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace sallyport::app {

void harden() {
    ::prctl(PR_SET_DUMPABLE, 0);
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
}

}  // namespace sallyport::app
