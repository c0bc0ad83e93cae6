#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/support/guarded_run.hpp"
#include "tests/support/netns_fixture.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

GuardedOptions as(bool nobody) {
    GuardedOptions options;
    options.as_nobody = nobody;
    return options;
}

}  // namespace

TEST_CASE("run: the command has its user, directory and environment, and its status is ours") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        auto options = as(nobody);
        options.directory = "/usr/share";
        options.environment.push_back("GREETING=hello there");
        const auto outcome = run_script("id -u; pwd; echo $GREETING; echo ${SALLYPORT_OUTSIDE-unset}; exit 7", options);
        const auto uid = nobody ? "65534" : std::to_string(::geteuid());
        CHECK(outcome.output == uid + "\n/usr/share\nhello there\nunset\n");
        CHECK(outcome.exited_with(7));
    }
}

TEST_CASE("run: a command that cannot be executed fails as in a shell") {
    for (const bool nobody : each_user()) {
        const auto missing = run_guarded({"no-such-command"}, as(nobody));
        CHECK(missing.output == "sallyport: no-such-command: No such file or directory\n");
        CHECK(missing.exited_with(127));
        const auto no_program = run_guarded({"/etc/passwd"}, as(nobody));
        CHECK(no_program.output == "sallyport: /etc/passwd: Permission denied\n");
        CHECK(no_program.exited_with(126));
    }
}

TEST_CASE("run: a command killed by a signal says so") {
    for (const bool nobody : each_user()) {
        const auto outcome = run_script("kill -SEGV $$", as(nobody));
        CHECK(WIFSIGNALED(outcome.status));
        CHECK(WTERMSIG(outcome.status) == SIGSEGV);
    }
}

TEST_CASE("run: what the command left running is gone when it has ended") {
    for (const bool nobody : each_user()) {
        // The sleeper holds standard output; its end is the end of what run_script() waits for.
        const auto outcome = run_script("setsid sleep 1000 & echo started", as(nobody));
        CHECK(outcome.output == "started\n");
        CHECK(outcome.exited_with(0));
    }
}

TEST_CASE("run: the sandbox does not outlive a gateway that is killed") {
    for (const bool nobody : each_user()) {
        GuardedRun run({"sh", "-c", "trap '' TERM HUP INT; echo up; sleep 1000"}, as(nobody));
        REQUIRE(run.read_line() == "up");
        ::kill(run.gateway(), SIGKILL);
        CHECK(run.read_all().empty());  // returns only when every process of the sandbox is gone
    }
}

TEST_CASE("run: a forwarded signal reaches the command") {
    for (const bool nobody : each_user()) {
        auto options = as(nobody);
        options.serve = [](container::GuardedCommand& command) {
            sigset_t term;
            ::sigemptyset(&term);
            ::sigaddset(&term, SIGTERM);
            ::sigprocmask(SIG_BLOCK, &term, nullptr);
            command.release();
            int number = 0;
            ::sigwait(&term, &number);
            command.forward_signal(number);
        };
        GuardedRun run({"sh", "-c", "trap 'echo got it; exit 3' TERM; echo up; sleep 1000 & wait"}, options);
        REQUIRE(run.read_line() == "up");
        ::kill(run.gateway(), SIGTERM);
        CHECK(run.read_all() == "got it\n");
        CHECK(WEXITSTATUS(run.finish()) == 3);
    }
}

TEST_CASE("run: signal mask and dispositions are those that sallyport was started with") {
    for (const bool nobody : each_user()) {
        auto options = as(nobody);
        options.before_start = [] {
            ::signal(SIGPIPE, SIG_DFL);  // other tests ignore it
            ::signal(SIGINT, SIG_IGN);
            ::signal(SIGCHLD, SIG_IGN);
            sigset_t usr1;
            ::sigemptyset(&usr1);
            ::sigaddset(&usr1, SIGUSR1);
            ::sigprocmask(SIG_SETMASK, &usr1, nullptr);
        };
        const auto outcome = run_guarded({"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"}, options);
        CHECK(outcome.says("SigBlk:\t0000000000000200\n"));
        CHECK(outcome.says("SigIgn:\t0000000000010002\n"));
        CHECK(outcome.exited_with(0));
    }
}

TEST_CASE("run: no descriptor beside the standard three is inherited") {
    for (const bool nobody : each_user()) {
        auto options = as(nobody);
        options.before_start = [] { ::open("/", O_RDONLY | O_DIRECTORY); };
        const auto outcome = run_script("ls -l /proc/self/fd | grep -c -- '->'; ls -l /proc/$$/fd", options);
        CHECK(outcome.output.substr(0, 2) == "4\n");  // and the directory that ls itself reads
        CHECK_FALSE(outcome.says("socket:"));
    }
}

TEST_CASE("run: a directory that the sandbox hides cannot be the current one") {
    if (::geteuid() != 0) return skip("only root can make a directory in /run here");
    for (const bool nobody : each_user()) {
        auto options = as(nobody);
        options.directory = "/run/lock";
        ::mkdir("/run/lock", 01777);  // where there is none yet
        CHECK(run_script("pwd", options).output == "/run/lock\n");
        options.before_start = [] {
            ::mkdir("/run/sallyport-test", 0777);
            if (::chdir("/run/sallyport-test") != 0) ::_exit(1);
            ::rmdir("/run/sallyport-test");
        };
        const auto gone = run_script("pwd", options);
        CHECK(gone.output == "the current directory no longer exists; start from another one\n");
        CHECK(gone.status == -1);
        options.before_start = [] {
            ::mkdir("/run/sallyport-test", 0777);
            if (::chdir("/run/sallyport-test") != 0) ::_exit(1);
        };
        const auto hidden = run_script("pwd", options);
        ::rmdir("/run/sallyport-test");
        CHECK(hidden.says("the current directory /run/sallyport-test is hidden from the sandbox"));
        CHECK(hidden.status == -1);
    }
}

TEST_CASE("run: under sudo the command is the invoking user, without capabilities") {
    if (::geteuid() != 0) return skip("only root can stand in for sudo");
    if (each_user().empty()) return;
    GuardedOptions options;
    options.environment.insert(options.environment.end(), {"SUDO_UID=65534", "SUDO_GID=65534", "USER=root"});
    const auto outcome =
        run_script("id -u; id -g; id -G; echo $USER $HOME; grep -E 'Cap(Eff|Prm|Inh|Amb)' /proc/self/status", options);
    CHECK(outcome.output.starts_with("65534\n65534\n65534\nnobody /nonexistent\n"));
    for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
        CHECK(outcome.says(std::string(set) + ":\t0000000000000000\n"));
    CHECK(run_script("kill -9 1 2>&1", options).says("ermitted"));

    options.environment.push_back("SUDO_UID=65534");
    options.environment.front() = "SUDO_UID=4294900000";
    CHECK(run_script("id", options).says("SUDO_UID=4294900000 is no user of this machine"));
}

TEST_CASE("run: without a terminal kill(0) stays inside") {
    for (const bool nobody : each_user()) {
        auto options = as(nobody);
        options.before_start = [] { ::setsid(); };  // no terminal, whatever the test was started from
        GuardedRun run({"sh", "-c", "trap '' TERM; kill -TERM 0; kill -INT 0; echo alive"}, options);
        (void)run.read_all();
        CHECK(run.finish() != -1);  // the gateway lived to tell
    }
}
