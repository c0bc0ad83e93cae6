#include "gateway/session/listener.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "gateway/base/startup_error.hpp"

namespace sallyport::session {
namespace {

namespace asio = boost::asio;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

constexpr std::size_t kLeast = 64;  // where hardly a descriptor is to be had

asio::ip::tcp protocol_of(int fd) {
    int domain = 0;
    socklen_t length = sizeof domain;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0) throw system_error("listener", errno);
    return domain == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4();
}

}  // namespace

std::size_t Sessions::most_of(std::size_t descriptors) {
    if (descriptors < net::kReservedDescriptors) return kLeast;
    return std::clamp((descriptors - net::kReservedDescriptors) / 3 * 2, kLeast, kMost);
}

Listener::Listener(asio::io_context& io, Gateway& gateway, UniqueFd listening, Sessions& sessions, Serve serve)
    : io_(io),
      gateway_(gateway),
      protocol_(protocol_of(listening.get())),
      acceptor_(io),
      sessions_(sessions),
      serve_(serve) {
    acceptor_.assign(protocol_, listening.release());
    acceptor_.non_blocking(true);
}

void Listener::start() { asio::co_spawn(io_, accept_all(), asio::detached); }

void Listener::stop() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
}

asio::awaitable<void> Listener::pause() {
    asio::steady_timer timer(io_, std::chrono::milliseconds(50));
    co_await timer.async_wait(kNoThrow);
}

asio::awaitable<void> Listener::accept_all() {
    while (acceptor_.is_open()) {
        const auto [ec] = co_await acceptor_.async_wait(asio::ip::tcp::acceptor::wait_read, kNoThrow);
        if (ec == asio::error::operation_aborted || !acceptor_.is_open()) co_return;
        if (sessions_.open >= sessions_.most || !net::descriptors_left()) {
            co_await make_room();
            continue;
        }
        const int failed = ec ? EIO : accept_one();
        const bool of_that_client = failed == EAGAIN || failed == EINTR || failed == ECONNABORTED;
        if (failed != 0 && !of_that_client)
            co_await pause();  // out of descriptors or memory: sessions that end make room
    }
}

/// Not before somebody waits for it.
asio::awaitable<void> Listener::make_room() {
    const auto before = sessions_.open;
    const Error reason{ErrorKind::timed_out,
                       "there are too many connections, and this one has waited for its client the longest"};
    if (!gateway_.watchdog.end_longest_waiting(reason)) co_return co_await pause();
    constexpr int kTurns = 8;  // of the loop, in which the session notices
    for (int turn = 0; turn < kTurns && sessions_.open == before; ++turn) co_await asio::post(io_, asio::use_awaitable);
}

/// accept4 and not async_accept: that one leaves a moment in which a child process (a secret's command) could inherit
/// the connection. Returns 0 or errno.
int Listener::accept_one() {
    UniqueFd fd(::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return errno;
    net::Socket socket(io_);
    boost::system::error_code ec;
    socket.assign(protocol_, fd.get(), ec);
    if (ec) return EIO;
    fd.release();
    ++sessions_.open;
    try {
        // Only memory can run out in there; the session is gone then, and its connection was never served further.
        asio::co_spawn(io_, serve_(gateway_, std::move(socket)),
                       [&sessions = sessions_](std::exception_ptr) { --sessions.open; });
    } catch (const std::bad_alloc&) {
        --sessions_.open;
        return ENOMEM;
    }
    return 0;
}

}  // namespace sallyport::session
