#pragma once
// The devcontainer of this repository, brought up by the real devcontainer CLI, with the API that it may reach and the
// network that it may not as stand-ins.

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/shell.hpp"
#include "tests/support/stand_in.hpp"

namespace sallyport::test {

class Devcontainer {
public:
    /// An address outside that no rule allows; nobody has it.
    static constexpr const char* kAttacker = "198.51.100.66";
    static constexpr const char* kPlaceholder = "sk-ant-placeholder";
    static constexpr const char* kFirewall = "sudo /usr/local/bin/init-firewall.sh";

    /// As `devcontainer up` leaves it, or nullptr: said, and failed where CI is set.
    static std::unique_ptr<Devcontainer> bring_up();
    Devcontainer(Devcontainer&&) = delete;
    ~Devcontainer();

    /// `devcontainer up` once more: finds the container, and starts it where it is stopped.
    Ran up();
    void stop() const;
    /// What the CLI takes for the configuration of this folder when none is named.
    Ran found_by_default() const;
    /// `bash -c SCRIPT` in it.
    Ran as_node(const std::string& script) const;
    Ran as_root(const std::string& script) const;
    std::vector<std::string> command_line(const std::string& user, const std::string& script) const;
    /// `devcontainer exec bash -c SCRIPT`.
    Ran exec(const std::string& script) const;
    const ShellOptions& options() const { return options_; }

    /// What its gateway reaches instead of Anthropic, GitHub and the npm registry, once trust_origin() and the policy
    /// say so.
    const StandIn& origin() const { return *origin_; }
    std::string routes() const;
    void trust_origin() const;
    /// ~/.config/sallyport/policy.toml of the host; takes effect with the next call of the firewall script.
    void write_policy(const std::string& text) const;

    /// What has left it, as sniffer.py saw it on the bridge, since the start or the last forget_what_left().
    std::vector<nlohmann::json> left() const;
    void forget_what_left() { forgotten_ += left().size(); }
    /// What leaves another container of the same image, which nobody guards, when node runs SCRIPT there.
    std::vector<nlohmann::json> left_unguarded(const std::string& script) const;
    /// Those of left() that neither went to the origin nor were DNS queries of the gateway.
    std::vector<nlohmann::json> left_for_nowhere_allowed() const;

private:
    Devcontainer() = default;
    std::vector<std::string> cli(std::vector<std::string> arguments) const;
    std::string inspect(const std::string& container, const std::string& format) const;
    std::unique_ptr<Program> sniff(const std::string& container, const std::string& log) const;

    TempDirectory directory_;
    ShellOptions options_;
    std::string program_, container_, bridge_address_;
    std::size_t forgotten_ = 0;
    std::unique_ptr<StandIn> origin_;
    std::unique_ptr<Program> sniffer_;
};

}  // namespace sallyport::test
