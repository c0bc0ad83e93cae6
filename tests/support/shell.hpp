#pragma once
// Programs run as a person would run them: arguments, environment, directory and input in; status and output out.

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "gateway/base/unique_fd.hpp"

namespace sallyport::test {

struct Ran {
    int status = -1;  ///< as waitpid(2) gives it
    bool timed_out = false;
    std::string out, err;

    bool exited_with(int code) const;
    bool says(const std::string& text) const { return out.find(text) != out.npos; }
    bool complains(const std::string& text) const { return err.find(text) != err.npos; }
    /// For INFO(): what a failing test should show.
    std::string shown() const;
};

struct ShellOptions {
    std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/dev/null/none"};
    std::string directory = "/";
    std::string input = {};
    std::chrono::seconds limit{60};
};

/// A program under way, in a session of its own, which is killed and reaped at the latest in the destructor.
/// Output goes to files, so that nobody has to read it for the program to go on.
class Program {
public:
    /// `arguments[0]` is looked up in the PATH of `options`. Throws std::runtime_error.
    Program(std::vector<std::string> arguments, const ShellOptions& options);
    Program(Program&&) = delete;
    ~Program();

    pid_t pid() const { return pid_; }
    /// Waits until it has ended; one that takes longer than the limit is killed.
    Ran finish();
    /// Waits for the first line of standard output. Throws std::runtime_error when none comes within the limit.
    std::string first_line();

private:
    bool wait_for_end(std::chrono::milliseconds most);

    pid_t pid_ = -1;
    std::chrono::seconds limit_;
    UniqueFd process_, out_, err_;
};

Ran run_program(std::vector<std::string> arguments, const ShellOptions& options = {});
bool has_program(const std::string& name);

}  // namespace sallyport::test
