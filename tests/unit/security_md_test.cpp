// SECURITY.md gives for each promise the tests that hold it: what it names is there, under that name.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

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

}  // namespace

TEST_CASE("SECURITY.md: each promise names tests, and they exist") {
    const auto tests = all_tests();
    std::ifstream in(kRoot / "SECURITY.md");
    std::string promise;
    std::size_t promises = 0, named = 1;
    for (std::string line; std::getline(in, line) && line != "## Not promised";) {
        if (line.starts_with("- ") || line.starts_with("#")) {
            CHECK_MESSAGE(named > 0, promise);
            named = line.starts_with("#") ? 1 : 0;
            promises += line.starts_with("- ");
            promise = line;
        } else if (const auto name = test_in(line); !name.empty()) {
            const bool exists =
                fs::exists(kRoot / "tests/fuzz" / (name + ".cpp")) || tests.find('"' + name + '"') != std::string::npos;
            CHECK_MESSAGE(exists, name);
            ++named;
        }
    }
    CHECK(promises > 10);
}
