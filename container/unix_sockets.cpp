#include "container/unix_sockets.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <functional>
#include <memory>
#include <set>

#include "container/files.hpp"
#include "container/mount_table.hpp"

namespace sallyport::container {
namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

void for_each_entry(const std::string& path, const std::function<void(const dirent&)>& action) {
    const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
    if (!directory) return;
    while (const auto* entry = ::readdir(directory.get()))
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) action(*entry);
}

std::string read_link(const std::string& path) {
    std::array<char, PATH_MAX> target;
    const auto size = ::readlink(path.c_str(), target.data(), target.size());
    return size > 0 ? std::string(target.data(), static_cast<std::size_t>(size)) : std::string();
}

bool is_socket(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

void add_from_network_namespaces(std::set<std::string>& sockets) {
    std::set<std::string> namespaces, names, directories;
    const auto add = [&](const std::string& process) {
        directories.insert(read_link(process + "/cwd"));
        const auto space = read_link(process + "/ns/net");
        if (space.empty() || !namespaces.insert(space).second) return;
        const auto paths = parse_unix_sockets(read_file(process + "/net/unix").value_or(""));
        names.insert(paths.begin(), paths.end());
    };
    add("/proc/self");
    for_each_entry("/proc", [&](const dirent& entry) {
        if (entry.d_name[0] >= '1' && entry.d_name[0] <= '9') add(std::string("/proc/") + entry.d_name);
    });
    directories.erase("");
    for (const auto& name : names) {
        if (name[0] == '/') sockets.insert(name);
        for (const auto& directory : directories)
            if (const auto path = directory + "/" + name; name[0] != '/' && is_socket(path)) sockets.insert(path);
    }
}

void add_from_directory(std::set<std::string>& sockets, const std::string& path, int depth) {
    for_each_entry(path, [&](const dirent& entry) {
        const std::string name = path + "/" + entry.d_name;
        if (entry.d_type == DT_SOCK) sockets.insert(name);
        if (entry.d_type == DT_DIR && depth > 0) add_from_directory(sockets, name, depth - 1);
    });
}

}  // namespace

std::vector<std::string> parse_unix_sockets(std::string_view text) {
    constexpr int kFieldsBeforePath = 7;  // Num RefCount Protocol Flags Type St Inode
    std::set<std::string> paths;
    text.remove_prefix(std::min(text.size(), text.find('\n')));  // the headings
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        for (int field = 0; field < kFieldsBeforePath; ++field) {
            line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
            line.remove_prefix(std::min(line.size(), line.find(' ')));
        }
        if (line.size() > 1 && line[1] != '@') paths.emplace(line.substr(1));
    }
    return {paths.begin(), paths.end()};
}

std::vector<std::string> outside_unix_sockets() {
    std::set<std::string> sockets;
    add_from_network_namespaces(sockets);
    for (const auto& mount : parse_mounts(read_file("/proc/self/mountinfo").value_or("")))
        if (is_socket(mount.point)) sockets.insert(mount.point);
    for (const auto* directory : {"/tmp", "/var/tmp"}) add_from_directory(sockets, directory, 1);
    return {sockets.begin(), sockets.end()};
}

}  // namespace sallyport::container
