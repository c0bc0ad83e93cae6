#pragma once
// Runs a password manager or the like for its output.

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "gateway/base/result.hpp"

namespace sallyport::secrets {

inline constexpr std::size_t kMaxSecretBytes = 64 * 1024;

/// What `command` (an argument vector, looked up in PATH, no shell) writes to its standard output. It runs in a process
/// group of its own with no input; its stderr is ours. After `time_limit`, or 64 KiB, the whole group is killed.
/// Errors read on from the command's name: "exited with status 1". Needs SIGCHLD not to be ignored.
Result<std::string> run_command(const std::vector<std::string>& command, std::chrono::milliseconds time_limit);

/// The same, by whoever may start programs.
using RunCommand = std::function<Result<std::string>(const std::vector<std::string>&, std::chrono::milliseconds)>;

}  // namespace sallyport::secrets
