#include "tests/support/doorway_ground.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "gateway/base/startup_error.hpp"
#include "tests/netns/seal_clients.hpp"
#include "tests/support/escape_ground.hpp"

namespace sallyport::test {
namespace {

constexpr gid_t kNobody = 65534;

void enter(int network) {
    if (network >= 0 && ::setns(network, CLONE_NEWNET) != 0) throw system_error("setns", errno);
}

/// Connected, or empty: a descriptor of a pipe whose other end is gone stands for "refused".
UniqueFd connected(int network, const std::string& address, std::uint16_t port) {
    enter(network);
    UniqueFd fd(::socket(family_of(address), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const SocketAddress to(address, port);
    if (::connect(fd.get(), to.get(), to.size) == 0) return fd;
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

UniqueFd or_empty(UniqueFd fd) {
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0 || !S_ISSOCK(info.st_mode)) fd.reset();
    return fd;
}

}  // namespace

DoorwayGround::DoorwayGround(const std::string& policy) : outside(Outside::create()) {
    std::string path = "/tmp/sallyport-doorway-XXXXXX";
    if (!::mkdtemp(path.data())) throw system_error("mkdtemp", errno);
    directory_ = path;
    ::chmod(path.c_str(), 0755);
    std::ofstream(directory_ / "policy.toml") << policy;
    const auto folder = directory_ / "doorway";
    std::filesystem::create_directory(folder);
    if (::geteuid() == 0 && ::chown(folder.c_str(), 0, kNobody) != 0) throw system_error("chown", errno);
    ::chmod(folder.c_str(), 02770);
}

DoorwayGround::~DoorwayGround() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

std::unique_ptr<Running> DoorwayGround::start_in(int network, const Arguments& arguments) const {
    Arguments command{SALLYPORT_PROGRAM};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Arguments environment{"PATH=/usr/bin:/bin", "HOME=" + directory_.string()};
    return outside->start({command, environment, directory_, false, [network] { enter(network); }});
}

std::unique_ptr<Running> DoorwayGround::start(const Arguments& arguments) const { return start_in(-1, arguments); }

std::unique_ptr<Running> DoorwayGround::doorway(int network) const {
    auto running = start_in(network, {"doorway", "--socket", socket()});
    line_with(*running, "is sealed");
    return running;
}

std::unique_ptr<Running> DoorwayGround::gateway(const Arguments& more) const {
    Arguments all{"gateway", "--doorway", socket(),  "--policy",   "policy.toml",
                  "--state", "state",     "--audit", "audit.jsonl"};
    all.insert(all.end(), more.begin(), more.end());
    if (std::find(more.begin(), more.end(), "--admin") == more.end()) all.insert(all.end(), {"--admin", "admin.sock"});
    return start(all);
}

std::unique_ptr<Running> DoorwayGround::attack(int network, const std::string& test_case, NetRaw net_raw) const {
    const auto become = [=] {
        enter(network);
        become_docker_root(net_raw);
    };
    return outside->start({EscapeGround::attack(test_case), {"PATH=/usr/bin:/bin"}, "/", false, become});
}

UniqueFd DoorwayGround::new_network() const {
    return outside->open([] {
        if (::unshare(CLONE_NEWNET) != 0) throw system_error("unshare", errno);
        return UniqueFd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    });
}

UniqueFd DoorwayGround::connect_in(int network, const std::string& address, std::uint16_t port) const {
    return or_empty(outside->open([&] { return connected(network, address, port); }));
}

UniqueFd DoorwayGround::connect_outside(const std::string& address, std::uint16_t port) const {
    return connect_in(-1, address, port);
}

UniqueFd DoorwayGround::listen_in(int network, const std::string& address, std::uint16_t port) const {
    return outside->open([&] {
        enter(network);
        UniqueFd fd(::socket(family_of(address), SOCK_STREAM | SOCK_CLOEXEC, 0));
        const SocketAddress at(address, port);
        if (::bind(fd.get(), at.get(), at.size) != 0 || ::listen(fd.get(), 8) != 0) throw system_error("listen", errno);
        return fd;
    });
}

std::string DoorwayGround::read(const std::string& file) const {
    std::stringstream text;
    text << std::ifstream(directory_ / file).rdbuf();
    return text.str();
}

std::string line_with(Running& process, const std::string& text) {
    for (auto line = process.read_line(); !line.empty(); line = process.read_line())
        if (line.find(text) != line.npos) return line;
    return {};
}

void kill_hard(Running& process) {
    ::kill(process.pid(), SIGKILL);
    process.read_all();  // its end of the pipe is closed: it is gone
}

}  // namespace sallyport::test
