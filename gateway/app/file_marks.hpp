#pragma once
// Tells that files have changed, without reading them.

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace sallyport::app {

/// What stat(2) says of a file, symbolic links followed: so a rename over it, a link that leads elsewhere (as
/// Kubernetes swaps ConfigMaps) and a permission that was granted are changes too.
struct FileMark {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t modified = 0;  ///< nanoseconds
    std::int64_t changed = 0;   ///< nanoseconds: contents, owner or mode

    auto operator<=>(const FileMark&) const = default;
};

/// nullopt for what is not there, cannot be looked at or is no regular file.
std::optional<FileMark> mark_of(const std::string& path);

/// By path.
using FileMarks = std::map<std::string, std::optional<FileMark>>;

/// The same files as they are now.
FileMarks look_again(const FileMarks& files);

}  // namespace sallyport::app
