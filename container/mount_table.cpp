#include "container/mount_table.hpp"

#include <algorithm>
#include <sstream>

#include "container/files.hpp"

namespace sallyport::container {
namespace {

/// The kernel writes space, tab, newline and backslash as three octal digits.
std::string unescape(const std::string& text) {
    const auto octal = [](char c) { return c >= '0' && c <= '7'; };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) && octal(text[i + 3])) {
            out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

/// "/a" + "/b" with "/" as the neutral element.
std::string join(const std::string& base, std::string_view rest) {
    return rest.empty() ? base : (base == "/" ? "" : base) + std::string(rest);
}

/// What is left of `path` below `directory`: "" or "/...".
std::string_view below(std::string_view path, std::string_view directory) {
    if (directory == "/") return path == "/" ? std::string_view() : path;
    return path.substr(directory.size());
}

}  // namespace

std::vector<Mount> parse_mounts(std::string_view mountinfo) {
    std::vector<Mount> mounts;
    std::istringstream lines{std::string(mountinfo)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string id, parent, options, field;
        Mount mount;
        if (!(fields >> id >> parent >> mount.device >> mount.root >> mount.point >> options)) continue;
        while (fields >> field && field != "-") continue;
        if (!(fields >> mount.type)) continue;
        mount.root = unescape(mount.root);
        mount.point = unescape(mount.point);
        mounts.push_back(std::move(mount));
    }
    return mounts;
}

std::vector<std::string> aliases(const std::vector<Mount>& mounts, const std::string& path) {
    const Mount* owner = nullptr;
    for (const auto& mount : mounts)
        if (is_within(path, mount.point) && (!owner || mount.point.size() >= owner->point.size())) owner = &mount;
    if (!owner) return {};

    const std::string inner = join(owner->root, below(path, owner->point));
    std::vector<std::string> found;
    for (const auto& mount : mounts) {
        if (mount.device != owner->device) continue;
        if (is_within(inner, mount.root)) found.push_back(join(mount.point, below(inner, mount.root)));
        else if (is_within(mount.root, inner)) found.push_back(mount.point);
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    std::erase(found, path);
    return found;
}

}  // namespace sallyport::container
