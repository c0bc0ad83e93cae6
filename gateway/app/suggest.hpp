#pragma once
// `sallyport suggest`: an audit log in, a policy for review out.

#include <optional>
#include <string>

namespace sallyport::app {

struct SuggestOptions {
    std::string log_file;                    ///< "-" is standard input
    std::optional<std::string> policy_file;  ///< what it allows is left out
};

/// 0, with the policy on standard output. Throws StartupError when a file cannot be read.
int suggest(const SuggestOptions&);

}  // namespace sallyport::app
