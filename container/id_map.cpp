#include "container/id_map.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "container/files.hpp"
#include "container/isolation.hpp"
#include "gateway/base/startup_error.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::container {
namespace {

/// The kernel takes the whole map in one write.
void write_once(const std::string& path, const std::string& text) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || ::write(fd.get(), text.data(), text.size()) < 0) throw system_error("cannot write " + path, errno);
}

}  // namespace

std::string identity_map(std::string_view own_map, unsigned id, bool all) {
    std::ostringstream out;
    std::istringstream lines{std::string(own_map)};
    unsigned first = 0, outside = 0, count = 0;
    while (all && lines >> first >> outside >> count) out << first << ' ' << first << ' ' << count << '\n';
    if (out.tellp() == 0) out << id << ' ' << id << " 1\n";
    return out.str();
}

void write_id_maps(pid_t child) {
    const std::string process = "/proc/" + std::to_string(child) + "/";
    const bool all_users = has_capability(CAP_SETUID);
    const bool all_groups = has_capability(CAP_SETGID);
    // Without CAP_SETGID a group map is only accepted once setgroups(2) is given up: a group can also take rights away.
    if (!all_groups) write_once(process + "setgroups", "deny");
    write_once(process + "uid_map", identity_map(read_file("/proc/self/uid_map").value_or(""), ::geteuid(), all_users));
    write_once(process + "gid_map",
               identity_map(read_file("/proc/self/gid_map").value_or(""), ::getegid(), all_groups));
}

}  // namespace sallyport::container
