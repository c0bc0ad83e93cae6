#pragma once
// Pure: /proc/self/mountinfo (proc(5)) as values, and the other names that a mount gives to a file.

#include <string>
#include <string_view>
#include <vector>

namespace sallyport::container {

struct Mount {
    std::string device;  ///< "major:minor" of the file system
    std::string root;    ///< the directory of that file system which is mounted
    std::string point;   ///< where
    std::string type;
};

/// Lines that are not understood are left out.
std::vector<Mount> parse_mounts(std::string_view mountinfo);

/// Every path by which bind mounts of the same file system reach `path` (absolute, canonical) or something below it,
/// `path` itself excluded. A candidate may be covered by another mount: compare device and inode before use.
std::vector<std::string> aliases(const std::vector<Mount>& mounts, const std::string& path);

}  // namespace sallyport::container
