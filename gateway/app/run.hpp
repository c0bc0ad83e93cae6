#pragma once
// `sallyport run`: seals a namespace, runs a command in it and serves as its way out.

#include <optional>
#include <string>
#include <vector>

namespace sallyport::app {

struct RunOptions {
    std::string policy_file = "sallyport.toml";
    std::optional<std::string> audit_file;
    bool quiet = false;
    std::vector<std::string> command;
};

/// Ends the process as the command ended. Throws StartupError when something is missing before it was started;
/// nothing has run then.
[[noreturn]] void run(const RunOptions&);

}  // namespace sallyport::app
