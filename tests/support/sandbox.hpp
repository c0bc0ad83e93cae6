#pragma once
// `sallyport run`, the real program, as a person would start it: a policy, an audit log, a command.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/shell.hpp"
#include "tests/support/skip.hpp"
#include "tests/support/stand_in.hpp"

namespace sallyport::test {

enum class User { ourselves, nobody };

/// Who the situations are tried as: ourselves, and when we are root an ordinary user too. Those that get no sandbox
/// here are left out (said, and failed where CI is set).
const std::vector<User>& sandbox_users();

/// The least of them, for situations that are the same for all; nobody where there is none.
std::vector<User> one_sandbox_user();

class Sandbox {
public:
    /// `environment` is added to a small one without anything of ours. With an origin the gateway trusts its CA.
    Sandbox(User user, const std::string& policy, const StandIn* origin = nullptr,
            const std::vector<std::string>& environment = {});

    /// Runs `sh -c SCRIPT` in it.
    Ran run(const std::string& script) const;
    Ran run(std::vector<std::string> command) const;
    /// What run() executes, for those who start it themselves.
    std::vector<std::string> command_line(std::vector<std::string> command) const;

    /// Further options of `sallyport run`.
    std::vector<std::string> run_options;
    /// Of the command, and of whoever starts it; both may be changed between runs.
    ShellOptions options;

    /// The command's own directory: it can write here, and everything of the Sandbox is in it.
    const std::filesystem::path& directory() const { return directory_.path(); }
    std::filesystem::path policy_file() const { return directory() / "sallyport.toml"; }
    std::filesystem::path audit_file() const { return directory() / "audit.jsonl"; }
    /// A file of the command's user.
    void write(const std::string& name, const std::string& content) const;

    /// The audit log so far: of all runs.
    std::vector<nlohmann::json> audit() const { return read_json_lines(audit_file()); }
    /// How many of its lines have all of these members with these values.
    std::size_t audited(const nlohmann::json& members) const;

private:
    User user_;
    TempDirectory directory_;
};

/// The program, where every user can execute it.
std::string program();

}  // namespace sallyport::test
