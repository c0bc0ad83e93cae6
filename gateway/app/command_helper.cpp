#include "gateway/app/command_helper.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <utility>

#include "container/isolation.hpp"
#include "gateway/base/startup_error.hpp"
#include "gateway/secrets/run_command.hpp"
#include "gateway/secrets/secret_value.hpp"

namespace sallyport::app {
namespace {

/// The answer is a message too: what it came to, and the output or the error.
struct Request {
    std::uint32_t command;
    std::uint32_t milliseconds;
};
constexpr char kGood = '+', kBad = '-';
constexpr std::chrono::seconds kGrace{5};

std::vector<std::vector<std::string>> commands_of(const policy::Policy& policy) {
    std::vector<std::vector<std::string>> commands;
    for (const auto& secret : policy.secrets())
        if (secret.value.command) commands.push_back(*secret.value.command);
    return commands;
}

/// The gateway wipes its own copy as it reads it.
void wipe_sources(const policy::Policy& policy) {
    for (const auto& secret : policy.secrets())
        if (char* value = secret.value.env ? std::getenv(secret.value.env->c_str()) : nullptr)
            ::explicit_bzero(value, std::strlen(value));
}

void answer(int channel, const std::vector<std::string>& command, std::chrono::milliseconds limit) {
    auto output = secrets::run_command(command, limit);
    std::string text;
    const secrets::CleanseAtExit cleanse(text);
    text.reserve(secrets::kMaxSecretBytes + 1);
    text += output ? kGood : kBad;
    text += output ? *output : output.error().detail;
    if (output) const secrets::CleanseAtExit read(*output);
    (void)!::send(channel, text.data(), text.size(), MSG_NOSIGNAL);
}

[[noreturn]] void serve(int channel, const policy::Policy& policy, const container::Account& account) {
    constexpr int kFirst = STDERR_FILENO + 1;
    ::dup3(channel, kFirst, O_CLOEXEC);
    ::close_range(kFirst + 1, ~0u, 0);  // nobody's connection is to outlive the gateway because we have a copy
    try {
        for (const int number : {SIGHUP, SIGINT, SIGTERM}) ::signal(number, SIG_IGN);  // meant for the gateway
        wipe_sources(policy);
        container::give_up_privileges(account);
        const auto commands = commands_of(policy);
        Request request{};
        while (::recv(kFirst, &request, sizeof request, 0) == sizeof request && request.command < commands.size())
            answer(kFirst, commands[request.command], std::chrono::milliseconds(request.milliseconds));
    } catch (const std::exception&) {
        // Whoever asks gets no answer.
    }
    ::_exit(0);
}

Error gone() { return {ErrorKind::io, "cannot be started: what starts it for the gateway has gone"}; }

}  // namespace

CommandHelper::CommandHelper(const policy::Policy& policy, const container::Account& account)
    : commands_(commands_of(policy)) {
    if (commands_.empty()) return;
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        throw system_error("cannot make a socket pair", errno);
    channel_ = UniqueFd(ends[0]);
    const UniqueFd theirs(ends[1]);
    pid_ = ::fork();
    if (pid_ < 0) throw system_error("cannot start a process", errno);
    if (pid_ == 0) serve(theirs.get(), policy, account);
}

CommandHelper::CommandHelper(CommandHelper&& other) noexcept
    : commands_(std::move(other.commands_)), channel_(std::move(other.channel_)), pid_(std::exchange(other.pid_, -1)) {}

CommandHelper::~CommandHelper() {
    channel_.reset();
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

Result<std::string> CommandHelper::run(const std::vector<std::string>& command,
                                       std::chrono::milliseconds time_limit) const {
    const auto known = std::find(commands_.begin(), commands_.end(), command);
    if (known == commands_.end())
        return Error{ErrorKind::refused, "was not in the policy at the start, and only those can be run: start again"};
    const Request request{static_cast<std::uint32_t>(known - commands_.begin()),
                          static_cast<std::uint32_t>(time_limit.count())};
    const auto patience = std::chrono::ceil<std::chrono::seconds>(time_limit + kGrace);
    const timeval limit{patience.count(), 0};
    ::setsockopt(channel_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::send(channel_.get(), &request, sizeof request, MSG_NOSIGNAL) != sizeof request) return gone();
    std::string text(secrets::kMaxSecretBytes + 1, '\0');
    const auto got = ::recv(channel_.get(), text.data(), text.size(), 0);
    if (got < 1) return gone();
    text.resize(static_cast<std::size_t>(got));
    const bool good = text.front() == kGood;
    text.erase(0, 1);
    if (good) return text;
    return Error{ErrorKind::io, text};
}

}  // namespace sallyport::app
