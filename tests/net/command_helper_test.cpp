#include "gateway/app/command_helper.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "container/lockdown.hpp"
#include "gateway/secrets/run_command.hpp"

using namespace sallyport;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> kEcho{"printf", "value"};
const std::vector<std::string> kFails{"sh", "-c", "exit 3"};
const std::vector<std::string> kShowsSource{"sh", "-c", "echo \"<$SALLYPORT_TEST_SOURCE>\""};
const std::vector<std::string> kShowsPrivileges{"grep", "-c", "NoNewPrivs:.1\\|CapBnd:.0000000000000000",
                                                "/proc/self/status"};

policy::Policy policy_with(const std::vector<std::vector<std::string>>& commands) {
    std::vector<policy::SecretRule> secrets(1);
    secrets[0].value.env = "SALLYPORT_TEST_SOURCE";
    for (const auto& command : commands) secrets.emplace_back().value.command = command;
    return {std::vector<policy::Rule>{}, std::move(secrets), std::vector<policy::Route>{}};
}

container::Account ourselves() { return {::geteuid(), ::getegid(), {}, {}, {}}; }

std::string text_of(const Result<std::string>& result) { return result ? *result : result.error().detail; }

}  // namespace

TEST_CASE("command helper: runs what the policy of the start names, without privileges, and no variable of a secret") {
    ::setenv("SALLYPORT_TEST_SOURCE", "hidden", 1);
    const app::CommandHelper helper(policy_with({kEcho, kFails, kShowsSource, kShowsPrivileges}), ourselves());
    for (int time = 0; time < 2; ++time) {
        const auto value = helper.run(kEcho, 5s);
        REQUIRE(value);
        CHECK(*value == "value");
    }
    CHECK(text_of(helper.run(kShowsSource, 5s)) == "<>\n");
    CHECK(std::getenv("SALLYPORT_TEST_SOURCE") == std::string("hidden"));  // ours is wiped by whoever reads it
    const auto lines = ::geteuid() == 0 ? "2\n" : "1\n";                   // only root can empty its bounding set
    CHECK(text_of(helper.run(kShowsPrivileges, 5s)) == lines);
    const auto failed = helper.run(kFails, 5s);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().detail == "exited with status 3");
    const auto unknown = helper.run({"printf", "value", "and more"}, 5s);
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().detail.find("start again") != std::string::npos);
    ::unsetenv("SALLYPORT_TEST_SOURCE");
}

TEST_CASE("command helper: serves a process that can start no program itself") {
    const pid_t child = ::fork();
    if (child == 0) {
        const app::CommandHelper helper(policy_with({kEcho}), ourselves());
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        const bool locked = container::lock_down().system_calls;
        const bool itself = static_cast<bool>(secrets::run_command(kEcho, 5s));
        ::_exit(locked && !itself && helper.run(kEcho, 5s) ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("command helper: there is none where no secret has a command") {
    const app::CommandHelper helper(policy_with({}), ourselves());
    std::ifstream children("/proc/self/task/" + std::to_string(::getpid()) + "/children");
    CHECK(std::string(std::istreambuf_iterator<char>(children), {}).empty());
    CHECK_FALSE(helper.run(kEcho, 5s));
}
