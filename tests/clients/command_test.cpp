// The command itself, run by the real program: what it gets, what comes back, and what stops it from being run at all.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "tests/support/sandbox.hpp"

using namespace sallyport::test;
namespace fs = std::filesystem;

TEST_CASE("command: its exit status is ours, 0 to 255") {
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, "");
        for (const int status : {0, 1, 2, 125, 126, 127, 128, 255}) {
            const auto ran = sandbox.run("exit " + std::to_string(status));
            CAPTURE(ran.shown());
            CHECK(ran.exited_with(status));
        }
    }
}

TEST_CASE("command: death by a signal is ours as well") {
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, "");
        for (const int number : {SIGTERM, SIGKILL, SIGSEGV, SIGINT}) {
            const auto ran = sandbox.run("kill -" + std::to_string(number) + " $$");
            CAPTURE(ran.shown());
            CHECK(WIFSIGNALED(ran.status));
            CHECK(WTERMSIG(ran.status) == number);
        }
    }
}

TEST_CASE("command: pipes, directory, arguments and environment are as they were given") {
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, "");
        sandbox.options.input = "from outside\n";
        sandbox.options.environment.push_back("GREETING=hello  there");
        const auto ran =
            sandbox.run({"sh", "-c", "tr a-z A-Z; pwd; echo \"$GREETING\"; printf '<%s>' \"$@\"; echo oops >&2", "sh",
                         "two words", "", "$HOME", "--policy", "a'b\"c"});
        CAPTURE(ran.shown());
        CHECK(ran.exited_with(0));
        CHECK(ran.out == "FROM OUTSIDE\n" + sandbox.directory().string() +
                             "\nhello  there\n<two words><><$HOME><--policy><a'b\"c>");
        CHECK(ran.complains("oops\n"));
        CHECK_FALSE(sandbox.run("env").says("_proxy="));
    }
}

TEST_CASE("command: a start that fails is exit status 125, with one clear message, and nothing was run") {
    struct Failure {
        std::string what, policy, message;
    };
    const std::string secret = "[[secret]]\nname = \"key\"\nhost = \"a.test\"\nheader = \"x-api-key\"\nvalue = ";
    const Failure failures[] = {
        {"a mistake in the policy", "[[allow]]\nhst = \"a.test\"\n", "sallyport.toml:2:1:"},
        {"not TOML", "[[allow\n", "sallyport.toml:1:"},
        {"an unknown preset", "use = [\"claud-code\"]\n", "sallyport.toml:1:8:"},
        {"a variable that is not set", secret + "{ env = \"NO_SUCH_VARIABLE\" }\n", "NO_SUCH_VARIABLE"},
        {"a file that is not there", secret + "{ file = \"no-such-file\" }\n", "no-such-file"},
        {"a command that fails", secret + "{ command = [\"false\"] }\n", "false"},
    };
    for (const auto user : sandbox_users())
        for (const auto& failure : failures) {
            const Sandbox sandbox(user, failure.policy);
            const auto ran = sandbox.run("touch was-run; echo was run");
            CAPTURE(failure.what);
            CAPTURE(ran.shown());
            CHECK(ran.exited_with(125));
            CHECK(ran.complains(failure.message));
            CHECK(ran.err.starts_with("sallyport: "));
            CHECK(ran.out.empty());
            CHECK_FALSE(fs::exists(sandbox.directory() / "was-run"));
        }
}

TEST_CASE("command: without a policy, or with an audit log that cannot be written, nothing is run") {
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, "");
        fs::create_directory(sandbox.audit_file());
        auto ran = sandbox.run("touch was-run");
        CAPTURE(ran.shown());
        CHECK(ran.exited_with(125));
        CHECK(ran.complains(sandbox.audit_file().string() + " cannot be opened: Is a directory"));
        fs::remove(sandbox.audit_file());
        fs::remove(sandbox.policy_file());
        ran = sandbox.run("touch was-run");
        CHECK(ran.exited_with(125));
        CHECK(ran.complains(sandbox.policy_file().string() + ": No such file or directory"));
        CHECK_FALSE(fs::exists(sandbox.directory() / "was-run"));
    }
}

TEST_CASE("command: an option that does not exist is named, whatever stands behind it, and nothing is run") {
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, "");
        for (const auto& options : {std::vector<std::string>{"--polcy", "x"}, {"--polcy=x"}, {"--quiet", "--polcy"}}) {
            sandbox.run_options = options;
            const auto ran = sandbox.run("touch was-run");
            CAPTURE(ran.shown());
            CHECK(ran.exited_with(125));
            CHECK(ran.complains("run knows no option --polcy"));
            CHECK_FALSE(ran.complains("touch"));
            CHECK_FALSE(fs::exists(sandbox.directory() / "was-run"));
        }
    }
}

TEST_CASE("command: a gateway that is killed takes the sandbox with it") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, "[[allow]]\nhost = \"api.example.test\"\n" + origin.route("api.example.test"),
                              &origin);
        const auto before = origin.requests().size();
        // It is up once a request went through; from then on it would send one after the other.
        Program program(sandbox.command_line({"sh", "-c",
                                              "trap '' TERM HUP INT; curl -sS https://api.example.test/echo; "
                                              "while :; do curl -s https://api.example.test/echo >/dev/null; done"}),
                        sandbox.options);
        program.first_line();
        ::kill(program.pid(), SIGKILL);
        const auto ran = program.finish();
        CAPTURE(ran.shown());
        CHECK(WIFSIGNALED(ran.status));
        CHECK(origin.requests().size() > before);
        // Nobody is left who could ask again: the next sandbox sees the count stand still.
        const auto then = origin.requests().size();
        CHECK(sandbox.run("curl -sS https://api.example.test/echo >/dev/null").exited_with(0));
        CHECK(origin.requests().size() <= then + 2);  // ours, and one that was under way
    }
}

TEST_CASE("command: a policy that is edited while it runs counts; one that it could have written itself does not") {
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, "[[allow]]\nhost = \"a.test\"\n");
        const auto wait_for = [](const std::string& name) {
            return "until [ -e " + name + " ] || [ $((n += 1)) -gt 100 ]; do sleep 0.1; done; ";
        };
        Program program(sandbox.command_line({"sh", "-c",
                                              "n=0; getent hosts a.test b.test | wc -l; " + wait_for("edited") +
                                                  "getent hosts b.test | wc -l; echo > sallyport.toml || echo covered; "
                                                  "printf '[[allow]]\\nhost = \"evil.test\"\\n' > mine; " +
                                                  wait_for("refused") + "getent hosts evil.test || echo away"}),
                        sandbox.options);
        const auto said = [&](const char* result) {
            const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
            while (sandbox.audited({{"event", "policy"}, {"result", result}}) == 0 &&
                   std::chrono::steady_clock::now() < limit)
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
            return std::chrono::steady_clock::now() < limit;
        };
        CHECK(program.first_line() == "1");
        sandbox.write("sallyport.toml", "[[allow]]\nhost = \"b.test\"\n");
        CHECK(said("replaced"));
        sandbox.write("edited", "");
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!fs::exists(sandbox.directory() / "mine") && std::chrono::steady_clock::now() < limit)
            std::this_thread::yield();
        fs::rename(sandbox.directory() / "mine", sandbox.policy_file());  // as an editor puts its file there
        CHECK(said("kept"));
        sandbox.write("refused", "");
        const auto ran = program.finish();
        CAPTURE(ran.shown());
        CHECK(ran.out == "1\n1\ncovered\naway\n");
        CHECK(ran.complains("is another file now, which the command can write"));
    }
}
