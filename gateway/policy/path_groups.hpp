#pragma once
// Many paths as few patterns: for the table at the end of a run and for `sallyport suggest`. Pure.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sallyport::policy {

struct PathGroup {
    std::string pattern;      ///< PathPattern takes it, and it matches every path of the group
    std::uint64_t count = 0;  ///< sum over its paths
};

/// At most `most` groups (at least 1) that hold every one of `paths` (a Target's paths, from "/" on, with counts).
/// Numbers, hashes, versions and long tokens become "*"; so do segments that have many siblings; what is too deep, or
/// still too much, ends in "**". The order is that of the patterns.
std::vector<PathGroup> group_paths(const std::map<std::string, std::uint64_t>& paths, std::size_t most);

}  // namespace sallyport::policy
