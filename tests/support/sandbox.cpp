#include "tests/support/sandbox.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace sallyport::test {
namespace {

constexpr uid_t kNobody = 65534;

void give_to(User user, const std::filesystem::path& path) {
    if (user == User::nobody && ::chown(path.c_str(), kNobody, kNobody) != 0)
        throw std::runtime_error("cannot give away " + path.string());
}

}  // namespace

/// A copy: the checkout may be in somebody's home.
std::string program() {
    static const TempDirectory directory;
    static const std::string copy = [] {
        std::filesystem::permissions(directory.path(), std::filesystem::perms(0755));
        const auto path = directory.path() / "sallyport";
        std::filesystem::copy_file(SALLYPORT_PROGRAM, path);
        return path.string();
    }();
    return copy;
}

Sandbox::Sandbox(User user, const std::string& policy, const StandIn* origin,
                 const std::vector<std::string>& environment)
    : user_(user) {
    give_to(user, directory());
    write("sallyport.toml", policy);
    options.directory = directory();
    options.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                           "HOME=" + directory().string()};
    if (origin) {
        write("origin-ca.pem", origin->ca_pem());
        options.environment.push_back("SSL_CERT_FILE=" + (directory() / "origin-ca.pem").string());
    }
    options.environment.insert(options.environment.end(), environment.begin(), environment.end());
}

void Sandbox::write(const std::string& name, const std::string& content) const {
    std::ofstream(directory() / name) << content;
    give_to(user_, directory() / name);
}

std::vector<std::string> Sandbox::command_line(std::vector<std::string> command) const {
    std::vector<std::string> line;
    if (user_ == User::nobody) line = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"};
    line.insert(line.end(), {program(), "run", "--policy", policy_file(), "--audit", audit_file()});
    line.insert(line.end(), run_options.begin(), run_options.end());
    line.push_back("--");
    line.insert(line.end(), std::make_move_iterator(command.begin()), std::make_move_iterator(command.end()));
    return line;
}

Ran Sandbox::run(const std::string& script) const { return run(std::vector<std::string>{"sh", "-c", script}); }

Ran Sandbox::run(std::vector<std::string> command) const {
    return run_program(command_line(std::move(command)), options);
}

std::size_t Sandbox::audited(const nlohmann::json& members) const {
    const auto lines = audit();
    const auto has_all = [&](const nlohmann::json& line) {
        return std::all_of(members.items().begin(), members.items().end(), [&](const auto& member) {
            return line.contains(member.key()) && line.at(member.key()) == member.value();
        });
    };
    return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), has_all));
}

const std::vector<User>& sandbox_users() {
    static const auto users = [] {
        std::vector<User> able;
        for (const auto user :
             ::geteuid() == 0 ? std::vector{User::ourselves, User::nobody} : std::vector{User::ourselves}) {
            const auto tried = Sandbox(user, "").run("true");
            if (tried.exited_with(0)) able.push_back(user);
            else
                skip("no sandbox for " + std::string(user == User::nobody ? "nobody" : "this user") + ": " + tried.err);
        }
        return able;
    }();
    return users;
}

std::vector<User> one_sandbox_user() {
    const auto& users = sandbox_users();
    return users.empty() ? users : std::vector{users.back()};
}

}  // namespace sallyport::test
