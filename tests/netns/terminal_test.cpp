// The command on a real terminal: job control inside, Ctrl-C, Ctrl-Z, and the terminal given back at the end.
#include <doctest/doctest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>

#include "tests/support/guarded_run.hpp"
#include "tests/support/netns_fixture.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr int kDeadlineMs = 10'000;
constexpr int kRetryMs = 200;

/// A session with a terminal of its own; `body` is its leader.
class Session {
public:
    explicit Session(const std::function<void()>& body) {
        int master = -1;
        std::fflush(nullptr);
        leader_ = ::forkpty(&master, nullptr, nullptr, nullptr);
        if (leader_ == 0) {
            try {
                body();
            } catch (const std::exception& error) {
                std::printf("%s\n", error.what());
            }
            std::fflush(nullptr);
            ::_exit(0);
        }
        master_ = UniqueFd(master);
    }
    ~Session() {
        ::kill(leader_, SIGKILL);
        ::waitpid(leader_, nullptr, 0);
    }

    void type(const std::string& text) const {
        if (::write(master_.get(), text.data(), text.size()) < 0) throw std::runtime_error("write to the terminal");
    }
    /// Reads until `text` has appeared after what was waited for before. `again` is typed until then: a key that sends
    /// a signal is lost when it comes before the program is the foreground one.
    bool wait_for(const std::string& text, const std::string& again = {}) {
        for (int waited = 0; waited < kDeadlineMs;) {
            if (const auto at = screen_.find(text, seen_); at != screen_.npos) {
                seen_ = at + text.size();
                return true;
            }
            pollfd source{master_.get(), POLLIN, 0};
            if (::poll(&source, 1, kRetryMs) == 0) {
                waited += kRetryMs;
                type(again);
                continue;
            }
            std::array<char, 4096> block;
            const auto got = ::read(master_.get(), block.data(), block.size());
            if (got <= 0) return false;
            screen_.append(block.data(), static_cast<std::size_t>(got));
        }
        return false;
    }
    const std::string& screen() const { return screen_; }

private:
    pid_t leader_ = -1;
    UniqueFd master_;
    std::string screen_;
    std::size_t seen_ = 0;
};

void guard(const std::vector<std::string>& command) {
    auto guarded = container::GuardedCommand::start(
        {command, {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/", "TERM=dumb", "PS1=ready $?> "}, kTestCa, {}});
    const auto sockets = guarded.take_sockets();
    ::signal(SIGINT, SIG_IGN);  // as the gateway does: the terminal's signals are the command's
    ::signal(SIGQUIT, SIG_IGN);
    guarded.release();
    const int status = guarded.finish();
    std::printf("exit %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    std::printf("terminal %s\n", ::tcgetpgrp(STDIN_FILENO) == ::getpgrp() ? "ours" : "lost");
}

}  // namespace

TEST_CASE("terminal: a shell inside has job control, and gives the terminal back") {
    if (::access("/bin/bash", X_OK) != 0) return skip("no bash");
    if (each_user().empty()) return;
    Session session([] { guard({"bash", "--norc", "--noprofile", "-i"}); });
    CHECK_MESSAGE(session.wait_for("ready 0> "), session.screen());
    session.type("sleep 1000 &\n");
    CHECK_MESSAGE(session.wait_for("[1]"), session.screen());
    session.type("fg\n");
    CHECK_MESSAGE(session.wait_for("sleep 1000"), session.screen());
    CHECK_MESSAGE(session.wait_for("Stopped", "\x1a"), session.screen());
    session.type("echo mark; sleep 999\n");
    CHECK_MESSAGE(session.wait_for("\nmark"), session.screen());
    CHECK_MESSAGE(session.wait_for("ready 130> ", "\x03"), session.screen());
    // A second Ctrl-C may have been under way, and takes what is typed behind it.
    CHECK_MESSAGE(session.wait_for("\nsettled", "echo settled\n"), session.screen());
    session.type("tty\n");
    CHECK_MESSAGE(session.wait_for("/dev/pts/"), session.screen());
    // The first one only warns of the stopped job.
    CHECK_MESSAGE(session.wait_for("exit 5\r\nterminal ours", "exit 5\n"), session.screen());
    CHECK(session.screen().find("no job control") == std::string::npos);
}

TEST_CASE("terminal: Ctrl-C ends the command, not the gateway") {
    if (each_user().empty()) return;
    Session session([] { guard({"sh", "-c", "echo up; exec sleep 1000"}); });
    CHECK_MESSAGE(session.wait_for("up"), session.screen());
    session.type("\x03");
    CHECK_MESSAGE(session.wait_for("exit 130\r\nterminal ours"), session.screen());
}

TEST_CASE("terminal: Ctrl-Z stops gateway and command alike, and both go on together") {
    if (each_user().empty()) return;
    // A shell of three lines: without one, the process group would be orphaned and Ctrl-Z without effect.
    Session session([] {
        ::signal(SIGTTOU, SIG_IGN);
        const pid_t job = ::fork();
        if (job == 0) {
            ::setpgid(0, 0);
            ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
            ::signal(SIGTTOU, SIG_DFL);
            guard({"sh", "-c", "echo up; read line; echo got $line"});
            std::fflush(nullptr);
            ::_exit(0);
        }
        ::setpgid(job, job);
        int status = 0;
        ::waitpid(job, &status, WUNTRACED);
        ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
        std::printf("job %s\n", WIFSTOPPED(status) ? "stopped" : "ended");
        std::fflush(nullptr);
        ::tcsetpgrp(STDIN_FILENO, job);
        ::kill(-job, SIGCONT);
        ::waitpid(job, &status, WUNTRACED);
    });
    CHECK_MESSAGE(session.wait_for("up"), session.screen());
    session.type("\x1a");
    CHECK_MESSAGE(session.wait_for("job stopped"), session.screen());
    session.type("this\n");
    CHECK_MESSAGE(session.wait_for("got this"), session.screen());
    CHECK_MESSAGE(session.wait_for("exit 0\r\nterminal ours"), session.screen());
}
