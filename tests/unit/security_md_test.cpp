// SECURITY.md gives for each promise the tests that hold it: what it names is there, under that name.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = SALLYPORT_SOURCE_DIR;

std::string all_tests() {
    std::string text;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / "tests")) {
        std::ifstream in(entry.path());
        if (entry.path().extension() == ".cpp") text.append(std::istreambuf_iterator<char>(in), {});
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
            const bool exists = fs::exists(kRoot / "tests/fuzz" / (name + ".cpp")) ||
                                tests.find('"' + name + '"') != std::string::npos;
            CHECK_MESSAGE(exists, name);
            ++named;
        }
    }
    CHECK(promises > 10);
}
