#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "container/files.hpp"
#include "gateway/app/doctor/in_child.hpp"
#include "gateway/app/doctor/probes.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::doctor {
namespace {

namespace fs = std::filesystem;

std::vector<pid_t> processes() {
    std::vector<pid_t> pids;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator("/proc", error))
        if (const auto pid = std::atoi(entry.path().filename().c_str()); pid > 0) pids.push_back(pid);
    return pids;
}

std::string directory_of(pid_t pid) { return "/proc/" + std::to_string(pid); }

// ---- the gateway's process

/// By its command line ("/usr/bin/sallyport", "gateway", ...), which everybody may read.
bool is_gateway(pid_t pid) {
    const auto line = container::read_file(directory_of(pid) + "/cmdline").value_or("");
    const auto first = line.substr(0, line.find('\0'));
    const auto rest = line.substr(std::min(line.size(), first.size() + 1));
    return first.substr(first.rfind('/') + 1) == "sallyport" && rest.substr(0, rest.find('\0')) == "gateway";
}

/// As /proc/PID/status has it: the directory itself belongs to root when the process is not dumpable.
uid_t user_of(pid_t pid) {
    const auto status = container::read_file(directory_of(pid) + "/status");
    return status ? container::parse_process_status(*status).user : ::getuid();
}

/// Opening it is where the kernel asks whether ptrace(2) would be allowed (mem_open of fs/proc/base.c).
bool open_memory(pid_t pid) {
    return static_cast<bool>(UniqueFd(::open((directory_of(pid) + "/mem").c_str(), O_RDONLY | O_CLOEXEC)));
}

bool open_memory_as_its_user(pid_t pid) {
    const auto user = user_of(pid);
    return ::setresuid(user, user, user) == 0 && open_memory(pid);
}

std::optional<VisibleGateway> find_gateway(const std::vector<pid_t>& pids) {
    const auto found = std::find_if(pids.begin(), pids.end(), is_gateway);
    if (found == pids.end()) return std::nullopt;
    const bool readable = succeeds_in_child([&] { return open_memory(*found); }) ||
                          succeeds_in_child([&] { return open_memory_as_its_user(*found); });
    const auto status = container::read_file(directory_of(*found) + "/status").value_or("");
    return VisibleGateway{*found, ::kill(*found, 0) == 0, readable, container::parse_process_status(status)};
}

// ---- other network namespaces

std::string network_of(const std::string& process) {
    std::array<char, 64> text;
    const auto size = ::readlink((process + "/ns/net").c_str(), text.data(), text.size());
    return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

bool enter_network(const std::string& process) {
    const UniqueFd fd(::open((process + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
    return fd && ::setns(fd.get(), CLONE_NEWNET) == 0;
}

std::vector<std::string> find_other_namespaces(const std::vector<pid_t>& pids) {
    std::vector<std::string> open;
    std::set<std::string> tried = {"", network_of("/proc/self")};
    for (const auto pid : pids) {
        const auto process = directory_of(pid);
        if (!tried.insert(network_of(process)).second) continue;
        if (succeeds_in_child([&] { return enter_network(process); })) open.push_back(process);
    }
    return open;
}

// ---- container engines

bool accepts(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return false;
    path.copy(address.sun_path, path.size());
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    return fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

std::vector<std::string> find_engines() {
    const auto user = "/run/user/" + std::to_string(::getuid());
    std::vector<std::string> paths = {"/var/run/docker.sock",
                                      "/run/docker.sock",
                                      "/run/docker-host.sock",
                                      "/var/run/docker-host.sock",
                                      "/run/containerd/containerd.sock",
                                      "/run/crio/crio.sock",
                                      "/run/podman/podman.sock",
                                      user + "/docker.sock",
                                      user + "/podman/podman.sock"};
    const std::string prefix = "unix://";
    if (const char* host = std::getenv("DOCKER_HOST"); host && std::string(host).starts_with(prefix))
        paths.insert(paths.begin(), std::string(host).substr(prefix.size()));
    std::vector<std::string> open;
    std::set<std::pair<dev_t, ino_t>> known;  // /var/run is /run
    for (const auto& path : paths) {
        struct stat info {};
        if (::stat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) continue;
        if (known.emplace(info.st_dev, info.st_ino).second && accepts(path)) open.push_back(path);
    }
    return open;
}

}  // namespace

void probe_neighbours(Observations& seen) {
    const auto pids = processes();
    seen.gateway = find_gateway(pids);
    seen.other_namespaces = find_other_namespaces(pids);
    seen.engines = find_engines();
    seen.has_landlock = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

}  // namespace sallyport::doctor
