#include "tests/support/guarded_run.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>

#include "gateway/base/startup_error.hpp"
#include "tests/support/netns_fixture.hpp"

namespace sallyport::test {

const char* const kTestCa = R"(
-----BEGIN CERTIFICATE-----
MIIBjzCCATWgAwIBAgIUEnmmLzGwnXRHPWnZjZTsqXHaF8gwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRU2FsbHlwb3J0IHRlc3QgQ0EwIBcNMjYxMTIzMTgxMzIyWhgP
MjEyNjEwMzAxODEzMjJaMBwxGjAYBgNVBAMMEVNhbGx5cG9ydCB0ZXN0IENBMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEuM70H5xvAQUEIhKMybD9xGKCbjWAYUNC
TD+1WUzK/BCQnwNoTRn6n493h37GxdOqdyDfha1Im0ZwqwNKNo63wqNTMFEwHQYD
VR0OBBYEFO/8gd54K8iWRYe4883QJNWvfPkPMB8GA1UdIwQYMBaAFO/8gd54K8iW
RYe4883QJNWvfPkPMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIg
LG0uiA8ijk/2wiJCIit3ZECrgG5MNDsiTudSGbm/unwCIQD6IPkxZkyYmUuyz5X4
iIRZSrN8k2rwfVcn++KV2fQu1g==
-----END CERTIFICATE-----
)";

namespace {

constexpr int kDeadlineMs = 60'000;
constexpr uid_t kNobody = 65534;

std::pair<UniqueFd, UniqueFd> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void become_nobody() {
    if (::setgroups(1, &kNobody) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
        ::setresuid(kNobody, kNobody, kNobody) != 0)
        throw std::runtime_error("cannot become nobody");
}

int serve(std::vector<std::string> command, const GuardedOptions& options) {
    if (::chdir(options.directory.c_str()) != 0) throw std::runtime_error("chdir " + options.directory);
    options.before_start();
    if (options.as_nobody) become_nobody();
    auto guarded = container::GuardedCommand::start({std::move(command), options.environment, kTestCa, options.hidden});
    const auto sockets = guarded.take_sockets();
    options.serve(guarded);
    return guarded.finish();
}

}  // namespace

GuardedRun::GuardedRun(std::vector<std::string> command, const GuardedOptions& options) {
    auto [output, output_end] = make_pipe();
    auto [status, status_end] = make_pipe();
    std::fflush(nullptr);
    gateway_ = ::fork();
    if (gateway_ == 0) {
        ::dup2(output_end.get(), STDOUT_FILENO);
        ::dup2(output_end.get(), STDERR_FILENO);
        output_end.reset();  // the sandbox's end must be the last one
        int value = -1;
        try {
            value = serve(std::move(command), options);
        } catch (const std::exception& error) {
            ::dprintf(STDERR_FILENO, "%s\n", error.what());
        }
        if (::write(status_end.get(), &value, sizeof value) != sizeof value) ::_exit(1);
        ::_exit(0);
    }
    output_ = std::move(output);
    status_ = std::move(status);
}

GuardedRun::~GuardedRun() {
    if (gateway_ <= 0) return;
    ::kill(gateway_, SIGKILL);
    ::waitpid(gateway_, nullptr, 0);
}

bool GuardedRun::read_more() {
    pollfd source{output_.get(), POLLIN, 0};
    if (::poll(&source, 1, kDeadlineMs) <= 0)
        throw std::runtime_error("the sandbox said nothing for a minute; so far: " + buffer_);
    std::array<char, 4096> block;
    const auto got = ::read(output_.get(), block.data(), block.size());
    if (got > 0) buffer_.append(block.data(), static_cast<std::size_t>(got));
    return got > 0;
}

std::string GuardedRun::read_line() {
    while (buffer_.find('\n') == buffer_.npos && read_more()) continue;
    const auto line = buffer_.substr(0, buffer_.find('\n'));
    buffer_.erase(0, line.size() + 1);
    return line;
}

std::string GuardedRun::read_all() {
    while (read_more()) continue;
    return std::exchange(buffer_, {});
}

int GuardedRun::finish() {
    int value = -1;
    if (::read(status_.get(), &value, sizeof value) != sizeof value) value = -1;
    ::waitpid(gateway_, nullptr, 0);
    gateway_ = -1;
    return value;
}

bool Outcome::exited_with(int code) const { return status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == code; }

Outcome run_guarded(std::vector<std::string> command, const GuardedOptions& options) {
    GuardedRun run(std::move(command), options);
    Outcome outcome;
    outcome.output = run.read_all();
    outcome.status = run.finish();
    return outcome;
}

Outcome run_script(const std::string& script, const GuardedOptions& options) {
    return run_guarded({"sh", "-c", script}, options);
}

std::vector<std::string> probe(const std::string& test_case) {
    return {"/proc/self/exe", "--no-skip", "--minimal", "--test-case=" + test_case};
}

std::vector<bool> each_user() {
    const bool root = ::geteuid() == 0;
    std::vector<bool> users;
    for (const bool as_nobody : root ? std::vector{false, true} : std::vector{false}) {
        GuardedOptions options;
        options.as_nobody = as_nobody;
        const auto outcome = run_guarded({"true"}, options);
        if (outcome.exited_with(0)) users.push_back(as_nobody);
        else
            skip(std::string(as_nobody ? "an ordinary user" : "this user") +
                 " gets no sandbox here: " + outcome.output);
    }
    return users;
}

}  // namespace sallyport::test
