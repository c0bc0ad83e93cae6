#include "tests/support/wire_peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace sallyport::test {
namespace {

constexpr int kPatienceMs = 10'000;

UniqueFd listen_on_loopback(std::uint16_t& port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(fd.get(), 64) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
        throw std::runtime_error("cannot listen on loopback");
    port = ntohs(address.sin_port);
    return fd;
}

}  // namespace

WirePeer::WirePeer(UniqueFd fd) : fd_(std::move(fd)) {
    const timeval patience{kPatienceMs / 1000, 0};  // for what TLS reads behind our back
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const int on = 1;  // as programs have it that send in pieces
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

std::string WirePeer::start_tls(tls::SslPtr ssl) {
    ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
    ssl_ = std::move(ssl);
    SSL_set_fd(ssl_.get(), fd_.get());
    SSL_clear_mode(ssl_.get(), SSL_MODE_AUTO_RETRY);
    ERR_clear_error();
    if (SSL_do_handshake(ssl_.get()) == 1) return {};
    const auto code = ERR_get_error();
    const char* reason = ERR_reason_error_string(code);
    return reason ? reason : "closed";
}

void WirePeer::close() {
    ssl_.reset();
    fd_.reset();
}

void WirePeer::reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
}

bool WirePeer::is_reset() {
    char block[4096];
    ssize_t n;
    while ((n = ::recv(fd_.get(), block, sizeof block, 0)) > 0) {
    }
    return n < 0 && errno == ECONNRESET;
}

bool WirePeer::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                               : ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

void WirePeer::shutdown_write() {
    if (ssl_) SSL_shutdown(ssl_.get());
    ::shutdown(fd_.get(), SHUT_WR);
}

WirePeer::Came WirePeer::fill_within(int milliseconds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    char block[65536];
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd fd{fd_.get(), POLLIN, 0};
        if (!(ssl_ && SSL_has_pending(ssl_.get())) && ::poll(&fd, 1, std::max(0, static_cast<int>(left.count()))) != 1)
            return Came::nothing;
        ERR_clear_error();
        const ssize_t n = ssl_ ? SSL_read(ssl_.get(), block, sizeof block) : ::recv(fd_.get(), block, sizeof block, 0);
        if (n > 0) {
            buffer_.append(block, static_cast<std::size_t>(n));
            return Came::bytes;
        }
        // What came may have been for TLS itself: a session ticket.
        if (!ssl_ || SSL_get_error(ssl_.get(), static_cast<int>(n)) != SSL_ERROR_WANT_READ) return Came::end;
    }
}

bool WirePeer::fill() {
    const auto came = fill_within(kPatienceMs);
    if (came == Came::nothing) throw std::runtime_error("the other side said nothing for 10 seconds");
    return came == Came::bytes;
}

std::string WirePeer::read_until(std::string_view mark) {
    std::size_t at;
    while ((at = buffer_.find(mark)) == std::string::npos)
        if (!fill()) return std::exchange(buffer_, {});
    auto out = buffer_.substr(0, at + mark.size());
    buffer_.erase(0, out.size());
    return out;
}

std::string WirePeer::read_exactly(std::size_t bytes) {
    while (buffer_.size() < bytes)
        if (!fill()) break;
    auto out = buffer_.substr(0, bytes);
    buffer_.erase(0, out.size());
    return out;
}

std::string WirePeer::read_message() {
    std::string message = read_until("\r\n\r\n");
    if (const auto at = message.find("Content-Length: "); at != std::string::npos)
        return message + read_exactly(std::strtoull(message.c_str() + at + 16, nullptr, 10));
    if (message.find("Transfer-Encoding: chunked") != std::string::npos) return message + read_until("0\r\n\r\n");
    return message;
}

std::string WirePeer::read_to_end() {
    while (fill()) {
    }
    return std::exchange(buffer_, {});
}

bool WirePeer::silent_for(int milliseconds) { return buffer_.empty() && fill_within(milliseconds) == Came::nothing; }

bool WirePeer::writable_within(int milliseconds) {
    pollfd fd{fd_.get(), POLLOUT, 0};
    return ::poll(&fd, 1, milliseconds) == 1;
}

bool WirePeer::closed() { return buffer_.empty() && !fill(); }

void block_sigpipe() {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
}

UniqueFd connect_to_loopback(std::uint16_t port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("cannot connect to loopback");
    return fd;
}

std::pair<UniqueFd, UniqueFd> connected_pair() {
    std::uint16_t port = 0;
    const UniqueFd listener = listen_on_loopback(port);
    UniqueFd client = connect_to_loopback(port);
    UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    return {std::move(client), std::move(server)};
}

WireOrigin::WireOrigin(std::function<void(WirePeer&)> serve, tls::SslCtxPtr tls, Serving serving)
    : listener_(listen_on_loopback(port_)),
      tls_(std::move(tls)),
      serve_(std::move(serve)),
      serving_(serving),
      thread_([this] { accept_all(); }) {}

void WireOrigin::accept_all() {
    block_sigpipe();  // in the threads of connections as well
    for (;;) {
        UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (ending_ || !fd) return;
        ++connections_;
        if (serving_ == Serving::one_by_one) run(std::move(fd));
        else side_by_side_.emplace_back([this, connection = std::move(fd)]() mutable { run(std::move(connection)); });
    }
}

void WireOrigin::run(UniqueFd fd) {
    WirePeer peer(std::move(fd));
    try {
        if (tls_) {
            tls::SslPtr ssl(SSL_new(tls_.get()));
            SSL_set_accept_state(ssl.get());
            if (!peer.start_tls(std::move(ssl)).empty()) return;
        }
        ++handshakes_;
        serve_(peer);
    } catch (const std::exception&) {
        // A test that ends early leaves its origin waiting; the test itself says what was wrong.
    }
}

WireOrigin::~WireOrigin() {
    ending_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    for (auto& thread : side_by_side_) thread.join();
}

}  // namespace sallyport::test
