#include "tests/support/shared_ground.hpp"

#include <cap-ng.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>

#include "container/shared.hpp"
#include "gateway/base/startup_error.hpp"
#include "tests/support/escape_ground.hpp"
#include "tests/support/netns_fixture.hpp"

namespace sallyport::test {
namespace {

/// What Docker gives to root in a container.
const std::set<unsigned> kDockersCapabilities = {
    CAP_CHOWN,   CAP_DAC_OVERRIDE,     CAP_FOWNER,  CAP_FSETID,     CAP_KILL,  CAP_SETGID,      CAP_SETUID,
    CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_NET_RAW, CAP_SYS_CHROOT, CAP_MKNOD, CAP_AUDIT_WRITE, CAP_SETFCAP};

/// Where cgroup2 is mounted; "" when it is not.
std::string cgroup2_mount() {
    std::ifstream mounts("/proc/self/mounts");
    std::string line, device, directory, type;
    while (std::getline(mounts, line))
        if (std::istringstream(line) >> device >> directory >> type && type == "cgroup2") return directory;
    return "";
}

void write_file(const std::string& path, const std::string& text) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || ::write(fd.get(), text.data(), text.size()) < 0) throw system_error("write " + path, errno);
}

void like_docker(NetRaw net_raw, uid_t uid) {
    ::signal(SIGPIPE, SIG_IGN);  // to an attack a refused connection is one outcome of many
    for (unsigned capability = 0; capability <= CAP_LAST_CAP; ++capability)
        if (!kDockersCapabilities.contains(capability) || (capability == CAP_NET_RAW && net_raw == NetRaw::dropped))
            ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    if (uid != 0 && ::setresuid(uid, uid, uid) != 0) ::_exit(1);
}

}  // namespace

std::unique_ptr<SharedGround> SharedGround::create(ToldApartBy how) {
    if (::geteuid() != 0) {
        skip("a gateway of another user, or in another cgroup, takes root");
        return nullptr;
    }
    std::unique_ptr<SharedGround> ground(new SharedGround(how));
    if (how == ToldApartBy::cgroup) {
        auto directory = cgroup2_mount() + "/sallyport-test-" + std::to_string(::getpid());
        if (::mkdir(directory.c_str(), 0755) != 0) {
            skip("no cgroup of its own for the gateway: " + directory);
            return nullptr;
        }
        ground->cgroup_ = directory;
    }
    ground->outside = Outside::create();
    if (!ground->outside) return nullptr;
    const auto name_server = ground->outside->take_name_server();
    ground->far_ = UniqueFd(::ioctl(name_server.get(), SIOCGSKNS));
    if (!ground->far_) throw system_error("the far end's namespace", errno);
    ground->inside([] {  // as in Docker's containers
        write_file("/proc/sys/net/ipv4/ip_forward", "1");
        write_file("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
        write_file("/proc/sys/net/ipv4/conf/lo/rp_filter", "0");
        write_file("/proc/sys/net/ipv4/conf/up0/rp_filter", "0");
    });
    return ground;
}

SharedGround::~SharedGround() {
    if (!cgroup_.empty()) ::rmdir(cgroup_.c_str());
}

void SharedGround::become_gateway() const {
    if (how_ == ToldApartBy::cgroup)
        write_file(cgroup_ + "/cgroup.procs", "0");
    else
        ::setfsuid(kGatewayUser);  // what a socket made now belongs to
}

std::string SharedGround::guard(std::vector<std::uint16_t> published) const {
    try {
        inside([&] {
            container::SharedSpec spec{container::ExemptCgroup{}, std::move(published)};
            if (how_ == ToldApartBy::cgroup)
                become_gateway();
            else
                spec.exempt = container::ExemptUser{kGatewayUser};
            container::guard_shared_namespace(spec);
        });
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

UniqueFd SharedGround::socket(Who who, int family, int type) const {
    return outside->open([&] {
        if (who == Who::far_end && ::setns(far_.get(), CLONE_NEWNET) != 0) throw system_error("setns", errno);
        if (who == Who::gateway) become_gateway();
        UniqueFd fd(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd) throw system_error("socket", errno);
        return fd;
    });
}

void SharedGround::inside(const std::function<void()>& body) const {
    outside->open([&] {
        body();
        return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    });
}

std::unique_ptr<Running> SharedGround::attack(const std::string& test_case, NetRaw net_raw, uid_t uid) const {
    Launch launch{EscapeGround::attack(test_case), {"PATH=/usr/bin:/bin:/usr/sbin:/sbin"}};
    launch.before = [net_raw, uid] { like_docker(net_raw, uid); };
    return outside->start(launch);
}

}  // namespace sallyport::test
