#include "tests/support/shared_ground.hpp"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "container/shared.hpp"
#include "gateway/base/startup_error.hpp"
#include "tests/netns/seal_clients.hpp"
#include "tests/support/escape_ground.hpp"
#include "tests/support/netns_fixture.hpp"

namespace sallyport::test {
namespace {

/// Where cgroup2 is mounted; "" when it is not.
std::string cgroup2_mount() {
    std::ifstream mounts("/proc/self/mounts");
    std::string line, device, directory, type;
    while (std::getline(mounts, line))
        if (std::istringstream(line) >> device >> directory >> type && type == "cgroup2") return directory;
    return "";
}

UniqueFd make_cgroup(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0755) != 0) return UniqueFd();
    return UniqueFd(::open((directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
}

void join(const UniqueFd& cgroup) {
    if (cgroup && ::write(cgroup.get(), "0", 1) != 1) throw system_error("join a cgroup", errno);
}

}  // namespace

std::unique_ptr<SharedGround> SharedGround::create(ToldApartBy how) {
    if (::geteuid() != 0) {
        skip("a gateway of another user, or in another cgroup, takes root");
        return nullptr;
    }
    std::unique_ptr<SharedGround> ground(new SharedGround(how));
    if (how == ToldApartBy::cgroup) {
        ground->cgroup_ = cgroup2_mount() + "/sallyport-test-" + std::to_string(::getpid());
        ground->gateways_cgroup_ = make_cgroup(ground->cgroup_ + "-gateway");
        ground->sandboxs_cgroup_ = make_cgroup(ground->cgroup_ + "-sandbox");
        if (!ground->gateways_cgroup_ || !ground->sandboxs_cgroup_) {
            skip("no cgroup of its own for the gateway: " + ground->cgroup_);
            return nullptr;
        }
    }
    ground->outside = Outside::create();
    if (!ground->outside) return nullptr;
    const auto name_server = ground->outside->take_name_server();
    ground->far_ = UniqueFd(::ioctl(name_server.get(), SIOCGSKNS));
    if (!ground->far_) throw system_error("the far end's namespace", errno);
    ground->make_cgroups(Cgroups::read_only);
    return ground;
}

SharedGround::~SharedGround() {
    if (cgroup_.empty()) return;
    for (const auto* whose : {"-gateway", "-sandbox"}) ::rmdir((cgroup_ + whose).c_str());
}

void SharedGround::make_cgroups(Cgroups how) const {
    const unsigned long access = how == Cgroups::read_only ? MS_RDONLY : 0;
    if (const auto point = cgroup2_mount(); !point.empty())
        inside([&] {
            if (::mount(nullptr, point.c_str(), nullptr, MS_REMOUNT | MS_BIND | access, nullptr) != 0)
                throw system_error("mount " + point, errno);
        });
}

void SharedGround::become_gateway() const {
    if (how_ == ToldApartBy::cgroup) join(gateways_cgroup_);
    else ::setfsuid(kGatewayUser);  // what a socket made now belongs to
}

std::string SharedGround::guard(std::vector<std::uint16_t> published) const {
    try {
        inside([&] {
            container::SharedSpec spec{container::ExemptCgroup{}, std::move(published)};
            if (how_ == ToldApartBy::cgroup) become_gateway();
            else spec.exempt = container::ExemptUser{kGatewayUser};
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

std::string SharedGround::left_by_now() const {
    const auto far = socket(Who::far_end, AF_INET, SOCK_DGRAM);
    const auto gateway = socket(Who::gateway, AF_INET, SOCK_DGRAM);
    const SocketAddress to("203.0.113.53", 9999);
    const bool sent = ::bind(far.get(), to.get(), to.size) == 0 &&
                      ::sendto(gateway.get(), "last", 4, 0, to.get(), to.size) == 4 && readable(far.get());
    if (!sent) throw std::runtime_error("the gateway does not get out");
    auto left = outside->recorded().destinations();
    std::erase(left, "udp 203.0.113.53:9999");
    return fmt::format("{}", fmt::join(left, ", "));
}

std::unique_ptr<Running> SharedGround::attack(const std::string& test_case, NetRaw net_raw, uid_t uid) const {
    Launch launch{EscapeGround::attack(test_case), {"PATH=/usr/bin:/bin:/usr/sbin:/sbin"}};
    launch.before = [this, net_raw, uid] {
        join(sandboxs_cgroup_);
        become_docker_root(net_raw, uid);
    };
    return outside->start(launch);
}

}  // namespace sallyport::test
