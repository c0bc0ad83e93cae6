#include "tests/support/installed.hpp"

#include <unistd.h>

#include "tests/support/sandbox.hpp"

namespace sallyport::test {

std::string installed(const std::string& script) {
    ShellOptions options;
    options.environment.clear();
    for (char** entry = environ; entry && *entry; ++entry) options.environment.emplace_back(*entry);
    options.limit = std::chrono::minutes(10);
    const auto ran = run_program({SALLYPORT_SOURCE_DIR "/scripts/" + script}, options);
    if (ran.exited_with(0)) return ran.out.substr(0, ran.out.find('\n'));
    skip(script + " failed: " + ran.err);
    return {};
}

}  // namespace sallyport::test
