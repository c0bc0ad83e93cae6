#pragma once
// The machine of a CI job, as the steps of action.yml find it: a user `runner` with sudo and no password, an uplink
// whose far end we record, and behind it an origin. Its /etc, /run and what else a step changes are its own.

#include <memory>
#include <string>
#include <vector>

#include "tests/support/outside_recorder.hpp"
#include "tests/support/stand_in.hpp"

namespace sallyport::test {

struct Step {
    int status = -1;  ///< exit status
    std::string output;
    bool says(const std::string& text) const { return output.find(text) != output.npos; }
};

class JobMachine {
public:
    static constexpr const char* kOrigin = "198.51.100.80";

    /// Null where it cannot be had: said, and failed where CI is set.
    static std::unique_ptr<JobMachine> create();
    ~JobMachine();
    JobMachine(const JobMachine&) = delete;

    /// A step that uses the action, with these inputs ("NAME=VALUE"); ends when nobody holds its output any more.
    Step use(const std::vector<std::string>& inputs) const;
    /// A step with a script of its own. Both have what earlier steps wrote to $GITHUB_ENV in their environment.
    Step run(const std::string& script) const;

    void write_policy(const std::string& text) const;
    /// A file of the job's workspace.
    std::string read(const std::string& name) const;
    /// $GITHUB_STEP_SUMMARY of the last step.
    std::string summary() const { return read("../summary"); }

    std::unique_ptr<Outside> outside;
    std::unique_ptr<StandIn> origin;

private:
    explicit JobMachine(std::unique_ptr<Outside> outside);
    Step as_runner(std::vector<std::string> command) const;
    void start_origin();

    TempDirectory directory_;
};

}  // namespace sallyport::test
