#include "gateway/policy/path_groups.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "gateway/policy/path.hpp"

using namespace sallyport::policy;

namespace {

std::vector<std::string> patterns(const std::vector<std::string>& paths, std::size_t most = 8) {
    std::map<std::string, std::uint64_t> counted;
    for (const auto& path : paths) ++counted[path];
    std::vector<std::string> out;
    for (const auto& group : group_paths(counted, most)) out.push_back(group.pattern);
    return out;
}

bool matched(const std::string& path, const std::vector<PathGroup>& groups) {
    return std::any_of(groups.begin(), groups.end(), [&](const PathGroup& group) {
        std::string error;
        const auto pattern = PathPattern::parse(group.pattern, error);
        REQUIRE_MESSAGE(pattern, group.pattern, ": ", error);
        return pattern->matches(path);
    });
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("path groups: what names one instance becomes *, what names an action stays") {
    CHECK(patterns({"/"}) == Texts{"/"});
    CHECK(patterns({"/repos/acme/web/issues/17"}) == Texts{"/repos/acme/web/issues/*"});
    CHECK(patterns({"/commit/84512bc"}) == Texts{"/commit/*"});
    CHECK(patterns({"/x/123e4567-e89b-12d3-a456-426614174000"}) == Texts{"/x/*"});
    CHECK(patterns({"/left-pad/1.3.0"}) == Texts{"/left-pad/*"});
    CHECK(patterns({"/dl/v1.3.0-rc1/tool"}) == Texts{"/dl/*/tool"});
    CHECK(patterns({"/v1/messages"}) == Texts{"/v1/messages"});
    CHECK(patterns({"/facade/decade"}) == Texts{"/facade/decade"});  // hex digits, but words
    CHECK(patterns({"/a/b/"}) == Texts{"/a/b/"});
    CHECK(patterns({"/a*b"}) == Texts{"/a%2Ab"});
}

TEST_CASE("path groups: many siblings become *, a few stay by name") {
    CHECK(patterns({"/a", "/b", "/c"}) == Texts{"/a", "/b", "/c"});
    Texts packages;
    for (const char* name : {"ab", "cd", "ef", "gh", "ij", "kl", "mn"}) {
        packages.push_back(std::string("/") + name);
        packages.push_back(std::string("/") + name + "/-/" + name + "-1.0.0.tgz");
    }
    CHECK(patterns(packages) == Texts{"/*", "/*/-/*"});
}

TEST_CASE("path groups: the number of patterns is bounded, and counts add up") {
    std::map<std::string, std::uint64_t> paths;
    std::string path = "/deep";
    for (int i = 0; i < 14; ++i) paths[path += "/x"] = 2;
    const auto groups = group_paths(paths, 4);
    REQUIRE(groups.size() == 1);
    CHECK(groups[0].pattern == "/deep/x/**");
    CHECK(groups[0].count == 28);
}

TEST_CASE("path groups: whatever the paths, every one is matched and the patterns are few and short") {
    std::mt19937 random(7);
    const auto pick = [&random](std::size_t most) { return random() % most; };
    const Texts pieces{"",
                       "a",
                       "b*",
                       "%2F",
                       "123",
                       "v1",
                       "x.tar.gz",
                       "**",
                       "@scope",
                       "0a1b2c3d",
                       std::string(300, 'a'),
                       std::string(60, '*')};
    for (int round = 0; round < 300; ++round) {
        std::map<std::string, std::uint64_t> paths;
        std::uint64_t total = 0;
        for (std::size_t n = 1 + pick(60); n > 0; --n) {
            std::string text;
            for (std::size_t depth = 1 + pick(round % 10 == 0 ? 40 : 6); depth > 0; --depth)
                text += "/" + pieces[pick(pieces.size())];
            std::string why;
            const auto target = normalise_target(text, why);
            if (!target) continue;
            ++paths[target->path];
            ++total;
        }
        const std::size_t most = 1 + pick(8);
        const auto groups = group_paths(paths, most);
        CHECK(groups.size() <= most);
        std::uint64_t counted = 0;
        for (const auto& group : groups) counted += group.count;
        CHECK(counted == total);
        for (const auto& known : paths) CHECK_MESSAGE(matched(known.first, groups), known.first);
    }
}
