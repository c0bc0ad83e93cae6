#pragma once
// Runs a command through GuardedCommand in a process of its own (the gateway's stand-in) and tells what came of it.

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "container/guarded_command.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::test {

/// A CA certificate in PEM form (CN "Sallyport test CA", valid for a hundred years) whose key nobody has.
extern const char* const kTestCa;

struct GuardedOptions {
    bool as_nobody = false;  ///< needs root; otherwise we run as who we are
    std::string directory = "/";
    std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/nonexistent"};
    std::vector<container::HiddenPath> hidden;
    /// Both run in the gateway's process. The second one has the sandbox ready and starts COMMAND.
    std::function<void()> before_start = [] {};
    std::function<void(container::GuardedCommand&)> serve = [](auto& command) { command.release(); };
};

/// The gateway's process, under way. Killed and reaped at the latest in the destructor.
class GuardedRun {
public:
    GuardedRun(std::vector<std::string> command, const GuardedOptions& options);
    GuardedRun(GuardedRun&&) = delete;
    ~GuardedRun();

    pid_t gateway() const { return gateway_; }
    /// The next line of standard output or error, without its end; "" at the end of both. Fails after ten seconds.
    std::string read_line();
    /// All that is left to read: until nobody holds the other end, so until the last process of the sandbox is gone.
    std::string read_all();
    /// The wait status of COMMAND; -1 when start() threw (the text is then in the output).
    int finish();

private:
    bool read_more();

    pid_t gateway_ = -1;
    UniqueFd output_, status_;
    std::string buffer_;
};

struct Outcome {
    int status = -1;
    std::string output;

    bool exited_with(int code) const;
    bool says(const std::string& text) const { return output.find(text) != output.npos; }
};

Outcome run_guarded(std::vector<std::string> command, const GuardedOptions& options = {});
/// The same with `sh -c SCRIPT`.
Outcome run_script(const std::string& script, const GuardedOptions& options = {});
/// A TEST_CASE of this binary as COMMAND. It is marked doctest::skip(), so that it runs inside a sandbox only.
std::vector<std::string> probe(const std::string& test_case);

/// The users that a situation is tried as: ourselves, and when we are root an ordinary user too. False: this machine
/// cannot (said, and failed where CI is set).
std::vector<bool> each_user();

}  // namespace sallyport::test
