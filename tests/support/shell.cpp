#include "tests/support/shell.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>

#include "gateway/base/startup_error.hpp"

namespace sallyport::test {
namespace {

using Clock = std::chrono::steady_clock;

UniqueFd memory_file(const std::string& content = {}) {
    UniqueFd file(::memfd_create("test", MFD_CLOEXEC));
    if (!file || ::write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()) ||
        ::lseek(file.get(), 0, SEEK_SET) != 0)
        throw system_error("memfd", errno);
    return file;
}

std::string content_of(const UniqueFd& file) {
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) throw system_error("fstat", errno);
    std::string text(static_cast<std::size_t>(info.st_size), '\0');
    if (::pread(file.get(), text.data(), text.size(), 0) != info.st_size) throw system_error("pread", errno);
    return text;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

}  // namespace

bool Ran::exited_with(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }

std::string Ran::shown() const {
    return (timed_out ? "timed out" : "wait status " + std::to_string(status)) + "\n--- stdout\n" + out +
           "\n--- stderr\n" + err;
}

Program::Program(std::vector<std::string> arguments, const ShellOptions& options)
    : limit_(options.limit), out_(memory_file()), err_(memory_file()) {
    const auto in = memory_file(options.input);
    auto environment = options.environment;
    const auto argv = pointers(arguments);
    auto envp = pointers(environment);
    pid_ = ::fork();
    if (pid_ < 0) throw system_error("fork", errno);
    if (pid_ == 0) {
        ::setsid();  // the terminal that the tests run in, if any, is no part of them
        const bool ready = ::dup2(in.get(), 0) == 0 && ::dup2(out_.get(), 1) == 1 && ::dup2(err_.get(), 2) == 2 &&
                           ::chdir(options.directory.c_str()) == 0;
        ::environ = envp.data();  // also where the program is looked up
        if (ready) ::execvp(argv[0], argv.data());
        ::dprintf(2, "cannot run %s: errno %d\n", argv[0], errno);
        ::_exit(127);
    }
    process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!process_) throw system_error("pidfd_open", errno);
}

Program::~Program() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

bool Program::wait_for_end(std::chrono::milliseconds most) {
    pollfd ended{process_.get(), POLLIN, 0};
    return ::poll(&ended, 1, static_cast<int>(most.count())) == 1;
}

Ran Program::finish() {
    Ran ran;
    ran.timed_out = !wait_for_end(limit_);
    if (ran.timed_out) ::kill(-pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, -1), &ran.status, 0);
    ran.out = content_of(out_);
    ran.err = content_of(err_);
    return ran;
}

std::string Program::first_line() {
    for (const auto deadline = Clock::now() + limit_; Clock::now() < deadline;) {
        const auto text = content_of(out_);
        if (const auto end = text.find('\n'); end != text.npos) return text.substr(0, end);
        if (wait_for_end(std::chrono::milliseconds(5))) break;
    }
    throw std::runtime_error("a program said nothing: " + content_of(err_));
}

Ran run_program(std::vector<std::string> arguments, const ShellOptions& options) {
    return Program(std::move(arguments), options).finish();
}

bool has_program(const std::string& name) {
    return run_program({"sh", "-c", "command -v \"$0\"", name}).exited_with(0);
}

}  // namespace sallyport::test
