#pragma once
// The small programs that the tests run inside a sandbox. They return values and assert nothing.

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>

#include "gateway/base/endpoint.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::test {

inline constexpr int kPatienceMs = 2000;  // upper bound for what must happen; nothing waits that long when all is well

/// What a client saw, and how long it took.
struct Outcome {
    int error = 0;
    long long milliseconds = 0;
};

struct SocketAddress {
    explicit SocketAddress(const std::string& address, std::uint16_t port = 0)
        : size(Endpoint{IpAddress::parse(address).value(), port}.to_sockaddr(storage)) {}
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }

    sockaddr_storage storage{};
    socklen_t size;
};

inline int family_of(const std::string& address) { return address.find(':') == address.npos ? AF_INET : AF_INET6; }

inline bool readable(int fd, int patience_ms = kPatienceMs) {
    pollfd ready{fd, POLLIN, 0};
    return ::poll(&ready, 1, patience_ms) == 1;
}

inline int socket_error(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

/// connect(2) with a deadline; 0 or errno, ETIMEDOUT when it would hang.
inline int connect_to(int fd, const SocketAddress& to) {
    if (::connect(fd, to.get(), to.size) == 0) return 0;
    if (errno != EINPROGRESS) return errno;
    pollfd ready{fd, POLLOUT, 0};
    return ::poll(&ready, 1, kPatienceMs) == 1 ? socket_error(fd) : ETIMEDOUT;
}

template <class F>
Outcome timed(F action) {
    const auto start = std::chrono::steady_clock::now();
    const int error = action();
    const auto took = std::chrono::steady_clock::now() - start;
    return {error, std::chrono::duration_cast<std::chrono::milliseconds>(took).count()};
}

inline Outcome tcp_connect(const std::string& address, std::uint16_t port) {
    const UniqueFd fd(::socket(family_of(address), SOCK_STREAM | SOCK_NONBLOCK, 0));
    return timed([&] { return connect_to(fd.get(), SocketAddress(address, port)); });
}

/// What one packet from an unconnected socket of that kind comes to: the error of the send, else of the socket.
inline Outcome send_packet(int type, int protocol, const std::string& address, std::uint16_t port,
                           std::span<const std::uint8_t> payload) {
    const UniqueFd fd(::socket(family_of(address), type | SOCK_NONBLOCK, protocol));
    if (!fd) return {errno, -1};
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    const SocketAddress to(address, port);
    return timed([&] {
        if (::sendto(fd.get(), payload.data(), payload.size(), 0, to.get(), to.size) < 0) return errno;
        return readable(fd.get()) ? socket_error(fd.get()) : ETIMEDOUT;
    });
}

}  // namespace sallyport::test
