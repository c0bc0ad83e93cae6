#include "gateway/app/admin_commands.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "container/doorway_client.hpp"
#include "gateway/base/startup_error.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::app {
namespace {

constexpr std::size_t kMaxAnswer = 1024 * 1024;
constexpr timeval kPatience{130, 0};  ///< a reload may wait for secrets' commands

UniqueFd connect_to(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) throw system_error("socket", errno);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
    const auto address = container::unix_address(path);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    if (errno == EACCES) throw StartupError(path + " belongs to another user: ask as that user, or as root");
    throw system_error("no gateway answers at " + path + " (--admin names another place)", errno);
}

std::string exchange(int fd, const std::string& request) {
    const auto line = request + "\n";
    if (::send(fd, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
        throw system_error("the gateway does not listen", errno);
    std::string answer;
    std::array<char, 16384> block;
    while (answer.size() < kMaxAnswer) {
        const auto got = ::recv(fd, block.data(), block.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw system_error("the gateway does not answer", errno);
        if (got == 0) break;
        answer.append(block.data(), static_cast<std::size_t>(got));
    }
    return answer;
}

/// Whoever holds the socket shall not play with the terminal of whoever asks.
std::string printable(std::string text) {
    for (char& c : text)
        if (c != '\n' && (c < 0x20 || c >= 0x7f)) c = '?';
    return text;
}

}  // namespace

int ask_gateway(const std::string& request, const std::string& path) {
    const auto socket = connect_to(path);
    const auto answer = exchange(socket.get(), request);
    int status = 0;
    const auto [end, failed] = std::from_chars(answer.data(), answer.data() + answer.size(), status);
    if (failed != std::errc{} || end == answer.data() + answer.size() || *end != '\n' || status < 0 || status > 2)
        throw StartupError("what answers at " + path + " is no gateway");
    fmt::print(status == 0 ? stdout : stderr, "{}",
               printable(answer.substr(static_cast<std::size_t>(end - answer.data()) + 1)));
    return status;
}

}  // namespace sallyport::app
