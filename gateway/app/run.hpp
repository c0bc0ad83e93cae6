#pragma once
// `sallyport run`: seals a namespace, runs a command in it and serves as its way out.

#include <optional>
#include <string>
#include <vector>

#include "gateway/app/report.hpp"

namespace sallyport::app {

struct RunOptions {
    std::string policy_file = "sallyport.toml";
    std::optional<std::string> audit_file;
    std::optional<std::string> outer_proxy;  ///< as app::outer_proxy takes it
    policy::Mode mode = policy::Mode::enforce;
    ReportOptions report;
    std::vector<std::string> name_servers;  ///< empty: the system's
    std::vector<std::string> command;
};

/// Ends the process as the command ended. Throws StartupError when something is missing before it was started;
/// nothing has run then.
[[noreturn]] void run(const RunOptions&);

}  // namespace sallyport::app
