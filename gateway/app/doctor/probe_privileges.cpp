#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <sstream>

#include "container/files.hpp"
#include "container/mount_table.hpp"
#include "gateway/app/doctor/in_child.hpp"
#include "gateway/app/doctor/probes.hpp"
#include "gateway/app/doctor/proc_net.hpp"
#include "gateway/base/unique_fd.hpp"
#include "netfilter/nft_socket.hpp"

namespace sallyport::doctor {
namespace {

bool set_mark() {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int mark = 1;
    return fd && ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0;
}

bool open_socket(int family, int type) { return static_cast<bool>(UniqueFd(::socket(family, type | SOCK_CLOEXEC, 0))); }

/// Reading the rules takes the same privilege as flushing them. Throws where that is missing.
bool read_rules() {
    netfilter::NftSocket().has_table({netfilter::Family::inet, "sallyport", {}});
    return true;
}

// ---- other users

bool change_user() {
    const uid_t other = ::getuid() == 1 ? 2 : 1;
    return ::setresuid(other, other, other) == 0;
}

/// Those who have sockets here come first, then what people choose: small numbers and the last ones of 16 bits.
std::vector<uid_t> likely_users() {
    constexpr uid_t kMostUsers = 65536;
    std::vector<uid_t> users;
    for (const auto& socket : read_proc_net({"tcp", "tcp6", "udp", "udp6"})) users.push_back(socket.owner);
    for (uid_t user = 0; user < kMostUsers / 2; ++user) users.insert(users.end(), {user, kMostUsers - 1 - user});
    return users;
}

/// A rule that knows the gateway by its user looks at the user of whoever made the socket: its file system user, which
/// is changed for one thread and back without losing the right to do so (nft_meta_get_eval_skugid).
std::string find_exempt_user() {
    constexpr std::chrono::seconds kPatience{2};
    const auto end = std::chrono::steady_clock::now() + kPatience;
    if (datagram_leaves()) return "";  // as whoever we are: no rule that makes a difference
    for (const auto user : likely_users()) {
        if (std::chrono::steady_clock::now() > end) break;
        ::setfsuid(user);
        if (datagram_leaves()) return std::to_string(user);
    }
    return "";
}

bool sudo_without_password() {
    const pid_t child = ::fork();
    if (child == 0) {
        const int null = ::open("/dev/null", O_RDWR);
        for (const int standard : {0, 1, 2}) ::dup2(null, standard);
        ::execlp("sudo", "sudo", "-n", "true", nullptr);
        ::_exit(127);
    }
    int status = -1;
    return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

// ---- cgroups

// "0" means the writer: the child, which ends right after.
bool join_cgroup(const std::string& directory) {
    const UniqueFd fd(::open((directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), "0", 1) == 1;
}

bool make_cgroup(const std::string& directory) {
    const auto path = directory + "/sallyport-doctor-" + std::to_string(::getpid());
    if (::mkdir(path.c_str(), 0755) != 0) return false;
    ::rmdir(path.c_str());
    return true;
}

// The mount is gone with the child's mount namespace.
bool mount_cgroups() {
    return ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("none", "/", "cgroup2", 0, nullptr) == 0;
}

/// Of this process in cgroup v2, "/" also where a cgroup namespace begins there.
std::string own_cgroup() {
    std::istringstream lines(container::read_file("/proc/self/cgroup").value_or(""));
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("0::")) return line.substr(3);
    return "/";
}

// Below our own we may do as we like: a rule for the gateway's cgroup does not match there.
std::vector<std::string> find_open_cgroups() {
    std::vector<std::string> open;
    const auto own = own_cgroup();
    for (const auto& mount : container::parse_mounts(container::read_file("/proc/self/mountinfo").value_or(""))) {
        if (mount.type != "cgroup2" || mount.root == own) continue;
        const auto change = [&] { return make_cgroup(mount.point) || join_cgroup(mount.point); };
        if (succeeds_in_child(change)) open.push_back(mount.point);
    }
    if (open.empty() && own != "/" && succeeds_in_child(mount_cgroups)) open.emplace_back("a mount of its own");
    return open;
}

}  // namespace

void probe_privileges(Observations& seen) {
    constexpr int kXdp = 44;  // AF_XDP, which older headers lack
    seen.is_root = ::geteuid() == 0;
    seen.may_set_mark = set_mark();
    seen.may_open_xdp = open_socket(kXdp, SOCK_RAW);
    seen.may_change_rules = succeeds_in_child(read_rules);
    seen.may_mount = succeeds_in_child([] { return ::unshare(CLONE_NEWNS) == 0; });
    seen.may_change_user = succeeds_in_child(change_user);
    if (seen.may_change_user && !seen.uplinks.empty())
        if (const auto user = in_child(find_exempt_user); !user.empty())
            seen.exempt_user = static_cast<uid_t>(std::strtoul(user.c_str(), nullptr, 10));
    seen.may_use_sudo = !seen.is_root && succeeds_in_child(sudo_without_password);
    seen.open_cgroups = find_open_cgroups();
}

}  // namespace sallyport::doctor
