#pragma once
// Runs the commands that secrets come from for a gateway that can start no program any more.
//
// A process of its own, as the gateway's user and without privileges too. It knows the policy of the start, and runs
// what that names and nothing else: whoever takes the gateway over gets no program started by it.

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "container/account.hpp"
#include "gateway/base/result.hpp"
#include "gateway/base/unique_fd.hpp"
#include "gateway/policy/policy.hpp"

namespace sallyport::app {

class CommandHelper {
public:
    /// Forks, where the policy has a command: before keys and secrets are in memory, and before other threads are.
    /// Throws StartupError.
    CommandHelper(const policy::Policy&, const container::Account&);
    /// Ends the process, and waits for it.
    ~CommandHelper();
    CommandHelper(CommandHelper&&) noexcept;
    CommandHelper& operator=(CommandHelper&&) = delete;

    /// As secrets::run_command. One that the policy of the start did not have is an error. Of one thread at a time.
    Result<std::string> run(const std::vector<std::string>& command, std::chrono::milliseconds time_limit) const;

private:
    std::vector<std::vector<std::string>> commands_;
    UniqueFd channel_;
    pid_t pid_ = -1;
};

}  // namespace sallyport::app
