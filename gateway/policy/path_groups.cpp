#include "gateway/policy/path_groups.hpp"

#include <algorithm>
#include <string_view>

#include "gateway/policy/path.hpp"
#include "gateway/policy/uri_text.hpp"

namespace sallyport::policy {
namespace {

constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kMaxSegment = 80;  // kMaxDepth of them stay below PathPattern::kMaxLength
constexpr std::size_t kMinHash = 7;      // git's short commit
constexpr std::size_t kMinToken = 20;

using Segments = std::vector<std::string>;

struct Item {
    Segments segments;
    std::uint64_t count;
};
using Items = std::vector<const Item*>;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// "12", "1.2.3", "v1.2.3-rc1", "0a1b2c3", a UUID, a long token: says which one is meant, not what is done. "v1" stays.
bool names_an_instance(std::string_view segment) {
    const auto digits = static_cast<std::size_t>(std::count_if(segment.begin(), segment.end(), is_digit));
    if (digits == 0) return false;
    if (digits == segment.size()) return true;
    const bool hash = segment.size() >= kMinHash &&
                      std::all_of(segment.begin(), segment.end(), [](char c) { return hex_digit(c) >= 0 || c == '-'; });
    const auto number = segment.substr(segment.front() == 'v' ? 1 : 0);
    const auto dot = number.find('.');
    const bool version = dot != std::string_view::npos && dot + 1 < number.size() && is_digit(number[dot + 1]) &&
                         std::all_of(number.begin(), number.begin() + static_cast<std::ptrdiff_t>(dot), is_digit);
    const bool token =
        segment.size() >= kMinToken && digits >= 4 && segment.find_first_of(".") == std::string_view::npos;
    return hash || (version && dot > 0) || token;
}

Segments split(std::string_view path) {
    Segments out;
    while (!path.empty()) {
        path.remove_prefix(1);
        const auto end = std::min(path.find('/'), path.size());
        if (out.size() == kMaxDepth) {
            out.push_back("**");
            break;
        }
        auto literal = PathPattern::literal(path.substr(0, end));
        const bool wild = literal.size() > kMaxSegment || names_an_instance(path.substr(0, end));
        out.push_back(wild ? "*" : std::move(literal));
        path.remove_prefix(end);
    }
    return out;
}

/// Walks all paths segment by segment; more than `siblings` different ones in one place become "*".
class Grouping {
public:
    explicit Grouping(std::size_t siblings) : siblings_(siblings) {}

    void walk(const Items& items, std::size_t depth, const std::string& prefix) {
        std::map<std::string, Items> next;
        for (const auto* item : items) {
            if (item->segments.size() == depth) groups_[prefix] += item->count;
            else next[item->segments[depth]].push_back(item);
        }
        if (next.size() > siblings_) {
            const bool deep = next.contains("**");
            Items all;
            for (const auto& [segment, below] : next) all.insert(all.end(), below.begin(), below.end());
            next = {{deep ? "**" : "*", std::move(all)}};
        }
        for (const auto& [segment, below] : next) {
            if (segment == "**")
                for (const auto* item : below) groups_[prefix + "/**"] += item->count;
            else walk(below, depth + 1, prefix + "/" + segment);
        }
    }

    const std::map<std::string, std::uint64_t>& groups() const { return groups_; }

private:
    std::size_t siblings_;
    std::map<std::string, std::uint64_t> groups_;
};

PathGroup common_prefix(const std::vector<Item>& items) {
    std::size_t same = items.front().segments.size();
    PathGroup group;
    for (const auto& item : items) {
        const auto& first = items.front().segments;
        const auto end = std::mismatch(
            first.begin(), first.begin() + static_cast<std::ptrdiff_t>(std::min(same, item.segments.size())),
            item.segments.begin());
        same = static_cast<std::size_t>(end.first - first.begin());
        group.count += item.count;
    }
    for (std::size_t i = 0; i < same; ++i)
        if (items.front().segments[i] != "**") group.pattern += "/" + items.front().segments[i];
    group.pattern += "/**";
    return group;
}

}  // namespace

std::vector<PathGroup> group_paths(const std::map<std::string, std::uint64_t>& paths, std::size_t most) {
    std::vector<Item> items;
    for (const auto& [path, count] : paths) items.push_back({split(path), count});
    if (items.empty()) return {};
    Items all;
    for (const auto& item : items) all.push_back(&item);
    for (const std::size_t siblings : {6, 3, 1}) {
        Grouping grouping(siblings);
        grouping.walk(all, 0, "");
        if (grouping.groups().size() > std::max<std::size_t>(most, 1)) continue;
        std::vector<PathGroup> out;
        for (const auto& [pattern, count] : grouping.groups()) out.push_back({pattern, count});
        return out;
    }
    return {common_prefix(items)};
}

}  // namespace sallyport::policy
