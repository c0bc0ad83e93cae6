#include "gateway/app/suggest.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <iostream>

#include "gateway/app/policy_file.hpp"
#include "gateway/audit/suggest.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::app {
namespace {

audit::LogContent read_file(const std::string& name) {
    if (name == "-") return audit::read_log(std::cin);
    std::ifstream in(name);
    if (!in) throw system_error(name, errno);
    return audit::read_log(in);
}

}  // namespace

int suggest(const SuggestOptions& options) {
    const auto known = options.policy_file ? load_policy_file(*options.policy_file)
                                           : std::make_shared<const policy::Policy>(policy::Policy({}, {}, {}));
    fmt::print("{}", audit::suggest(read_file(options.log_file), *known));
    return 0;
}

}  // namespace sallyport::app
