// Pages that give, for each point they make, the tests that hold it: what they name is there, under that name.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = SALLYPORT_SOURCE_DIR;

/// With each string literal in one piece.
std::string all_tests() {
    std::string text;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / "tests")) {
        if (entry.path().extension() != ".cpp") continue;
        std::ifstream in(entry.path());
        for (std::string line; std::getline(in, line);) {
            const auto begin = line.find_first_not_of(' ');
            const bool goes_on = text.ends_with("\"\n") && begin != line.npos && line[begin] == '"';
            if (goes_on) text.resize(text.size() - 2);
            text += (goes_on ? line.substr(begin + 1) : line) + '\n';
        }
    }
    return text;
}

/// Of a line "  - `name`".
std::string test_in(const std::string& line) {
    return line.starts_with("  - `") ? line.substr(5, line.rfind('`') - 5) : std::string();
}

/// The points are those of its lists, up to the line `end`.
void check_page(const std::string& page, const std::string& end) {
    struct Point {
        std::string text;
        std::size_t named = 0;
    };
    std::vector<Point> points;
    const auto tests = all_tests();
    std::ifstream in(kRoot / page);
    for (std::string line; std::getline(in, line) && line != end;) {
        if (line.starts_with("- ")) points.push_back({line});
        const auto name = test_in(line);
        if (name.empty()) continue;
        const bool exists =
            fs::exists(kRoot / "tests/fuzz" / (name + ".cpp")) || tests.find('"' + name + '"') != std::string::npos;
        CHECK_MESSAGE(exists, name);
        REQUIRE_FALSE(points.empty());
        ++points.back().named;
    }
    CHECK(points.size() > 10);
    for (const auto& point : points) CHECK_MESSAGE(point.named > 0, point.text);
}

}  // namespace

TEST_CASE("SECURITY.md: each promise names tests, and they exist") { check_page("SECURITY.md", "## Not promised"); }

TEST_CASE("tests/nghttpx.md: each situation names tests, and they exist") {
    check_page("tests/nghttpx.md", "## Not here");
}
