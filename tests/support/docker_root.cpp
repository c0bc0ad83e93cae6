#include "tests/support/docker_root.hpp"

#include <cap-ng.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <set>

namespace sallyport::test {
namespace {

const std::set<unsigned> kDockersCapabilities = {
    CAP_CHOWN,   CAP_DAC_OVERRIDE,     CAP_FOWNER,  CAP_FSETID,     CAP_KILL,  CAP_SETGID,      CAP_SETUID,
    CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_NET_RAW, CAP_SYS_CHROOT, CAP_MKNOD, CAP_AUDIT_WRITE, CAP_SETFCAP};

}  // namespace

void become_docker_root(NetRaw net_raw, uid_t uid) {
    ::signal(SIGPIPE, SIG_IGN);  // to an attack a refused connection is one outcome of many
    for (unsigned capability = 0; capability <= CAP_LAST_CAP; ++capability)
        if (!kDockersCapabilities.contains(capability) || (capability == CAP_NET_RAW && net_raw == NetRaw::dropped))
            ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    if (uid != 0 && ::setresuid(uid, uid, uid) != 0) ::_exit(1);
}

}  // namespace sallyport::test
