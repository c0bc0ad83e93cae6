#include "gateway/net/stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

#include "gateway/net/io_error.hpp"
#include "gateway/tls/client_context.hpp"

namespace sallyport::net {
namespace {

constexpr auto kNoThrow = boost::asio::as_tuple(boost::asio::use_awaitable);
constexpr std::size_t kRecord = 16 * 1024;  // what TLS sends at once (RFC 8446, section 5.1)
constexpr int kMostUnpaused = 64;           // operations: about one megabyte of body

/// A peer that is gone without a word is found out within two minutes, and what is idle for hours outlives the memory
/// of a NAT on the way.
void set_options(int fd) {
    const auto set = [fd](int level, int option, int value) { ::setsockopt(fd, level, option, &value, sizeof value); };
    set(IPPROTO_TCP, TCP_NODELAY, 1);  // an event of a stream waits for no ACK
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 60);  // seconds
    set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
    set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

}  // namespace

Stream::Stream(Socket socket, Lifeline& lifeline) : socket_(std::move(socket)), lifeline_(&lifeline) {
    boost::system::error_code ignored;
    socket_.native_non_blocking(true, ignored);
    set_options(socket_.native_handle());
    lifeline.attach(*this);
}

Stream::~Stream() {
    if (lifeline_) lifeline_->detach(*this);
}

void Stream::set_lifeline(Lifeline* lifeline) {
    if (lifeline_) lifeline_->detach(*this);
    lifeline_ = lifeline;
    if (lifeline_) lifeline_->attach(*this);
}

void Stream::replay(std::string bytes) {
    bytes.append(replay_, replayed_);  // of an earlier call
    replay_ = std::move(bytes);
    replayed_ = 0;
}

void Stream::cancel() {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
}

void Stream::abort() {
    aborted_ = true;
    cancel();
}

bool Stream::peer_gone() {
    // A plain connection may be half closed by a client that still wants its answer (nc -N); TLS clients that
    // have closed want nothing more.
    const short gone = ssl_ ? POLLRDHUP | POLLHUP | POLLERR : POLLHUP | POLLERR;
    pollfd fd{socket_.native_handle(), POLLRDHUP, 0};
    return ::poll(&fd, 1, 0) == 1 && (fd.revents & gone);
}

void Stream::release_buffers() {
    if (ssl_) SSL_free_buffers(ssl_.get());
}

Task<void> Stream::wait_for(Socket::wait_type what) {
    if (lifeline_->ended()) co_return lifeline_->reason();
    if (aborted_) co_return Error{ErrorKind::cancelled, "cancelled"};
    unpaused_ = 0;
    const auto [ec] = co_await socket_.async_wait(what, kNoThrow);
    if (what == Socket::wait_read) asked_ = false;
    if (lifeline_->ended()) co_return lifeline_->reason();
    if (ec == boost::asio::error::operation_aborted) co_return Error{ErrorKind::cancelled, "cancelled"};
    if (ec) co_return Error{ErrorKind::io, ec.message()};
    co_return Result<void>{};
}

Result<std::size_t> Stream::read_socket(std::span<char> into, Waits& waits) {
    if (replayed_ < replay_.size()) {
        const auto n = std::min(into.size(), replay_.size() - replayed_);
        std::memcpy(into.data(), replay_.data() + replayed_, n);
        replayed_ += n;
        return n;
    }
    const ssize_t n = ::recv(socket_.native_handle(), into.data(), into.size(), 0);
    if (n > 0) return static_cast<std::size_t>(n);
    if (n == 0) return Error{ErrorKind::end_of_stream, "closed"};
    if (!would_block(errno)) return io_error(errno);
    waits = Socket::wait_read;
    return std::size_t{0};
}

Result<std::size_t> Stream::read_tls(std::span<char> into, Waits& waits) {
    ERR_clear_error();
    drained_ = false;
    const int n = SSL_read(ssl_.get(), into.data(), static_cast<int>(std::min<std::size_t>(into.size(), 1 << 30)));
    if (n > 0) return static_cast<std::size_t>(n);
    const auto wants = ssl_wants(n, "read");
    if (!wants) return wants.error();
    if (*wants == Socket::wait_write || drained_) waits = *wants;
    return std::size_t{0};
}

Task<void> Stream::let_others_run() {
    unpaused_ = 0;
    const auto executor = socket_.get_executor();
    co_await boost::asio::post(executor, boost::asio::use_awaitable);
    if (lifeline_->ended()) co_return lifeline_->reason();
    if (aborted_) co_return Error{ErrorKind::cancelled, "cancelled"};
    co_return Result<void>{};
}

Task<std::size_t> Stream::read_some(std::span<char> into) {
    if (asked_ && !at_hand())
        if (auto ready = co_await wait_for(Socket::wait_read); !ready) co_return ready.error();
    for (;;) {
        if (++unpaused_ > kMostUnpaused)
            if (auto go_on = co_await let_others_run(); !go_on) co_return go_on.error();
        Waits waits;
        auto n = ssl_ ? read_tls(into, waits) : read_socket(into, waits);
        if (!n || *n > 0) co_return n;
        if (!waits) {  // records without content, a buffer full of them: more may be at hand
            unpaused_ = kMostUnpaused;
            continue;
        }
        if (auto ready = co_await wait_for(*waits); !ready) co_return ready.error();
    }
}

bool Stream::at_hand() const { return replayed_ < replay_.size() || (ssl_ && SSL_has_pending(ssl_.get())); }

Task<void> Stream::wait_readable() {
    if (at_hand()) co_return Result<void>{};
    co_return co_await wait_for(Socket::wait_read);
}

Task<void> Stream::wait_writable() { return wait_for(Socket::wait_write); }

Task<bool> Stream::wait_readable_for(Clock::duration time) {
    // The timer's handler may already be on its way when the wait ends otherwise: `pending` tells it to do nothing.
    const auto pending = std::make_shared<bool>(true);
    bool timed_out = false;
    boost::asio::steady_timer timer(socket_.get_executor(), time);
    timer.async_wait([this, pending, &timed_out](const boost::system::error_code& ec) {
        if (ec || !*pending) return;
        timed_out = true;
        cancel();
    });
    auto ready = co_await wait_readable();
    *pending = false;
    if (ready) co_return true;
    if (timed_out && !lifeline_->ended()) co_return false;
    co_return ready.error();
}

Task<void> Stream::write(std::string_view bytes) { return write(bytes, std::string_view()); }

Task<void> Stream::write(std::string_view first, std::string_view second) {
    std::string record;
    if (ssl_ && !second.empty() && first.size() < kRecord) {
        const auto joined = std::min(second.size(), kRecord - first.size());
        record.reserve(first.size() + joined);
        record.append(first).append(second, 0, joined);
        first = record;
        second.remove_prefix(joined);
    }
    while (!first.empty() || !second.empty()) {
        if (++unpaused_ > kMostUnpaused)
            if (auto go_on = co_await let_others_run(); !go_on) co_return go_on.error();
        if (first.empty()) std::swap(first, second);
        auto wait = Socket::wait_write;
        std::size_t written = 0;
        if (ssl_) {
            ERR_clear_error();
            const int n =
                SSL_write(ssl_.get(), first.data(), static_cast<int>(std::min<std::size_t>(first.size(), 1 << 30)));
            if (n > 0) {
                written = static_cast<std::size_t>(n);
            } else {
                const auto wants = ssl_wants(n, "write");
                if (!wants) co_return last_words(wants.error());
                wait = *wants;
            }
        } else {
            const iovec parts[] = {{const_cast<char*>(first.data()), first.size()},
                                   {const_cast<char*>(second.data()), second.size()}};
            msghdr message{};
            message.msg_iov = const_cast<iovec*>(parts);
            message.msg_iovlen = 2;
            const ssize_t n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
            if (n < 0 && !would_block(errno)) co_return io_error(errno);
            written = n > 0 ? static_cast<std::size_t>(n) : 0;
        }
        if (written == 0) {
            if (auto ready = co_await wait_for(wait); !ready) co_return ready.error();
            continue;
        }
        lifeline_->progress();
        asked_ = true;
        const auto of_first = std::min(written, first.size());
        first.remove_prefix(of_first);
        second.remove_prefix(written - of_first);
    }
    co_return Result<void>{};
}

Task<void> Stream::handshake(tls::SslPtr ssl) {
    BIO* bio = BIO_new(bio_method());
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl.get(), bio, bio);  // owns the BIO from here
    SSL_set_mode(ssl.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_clear_mode(ssl.get(), SSL_MODE_AUTO_RETRY);  // a flood of key updates must come back to us
    SSL_set_read_ahead(ssl.get(), 1);                // header and body of a record in one recv(2)
    ssl_ = std::move(ssl);
    for (;;) {
        ERR_clear_error();
        const int n = SSL_do_handshake(ssl_.get());
        if (n == 1) co_return Result<void>{};
        const auto wants = ssl_wants(n, "handshake");
        if (!wants) co_return wants.error();
        if (auto ready = co_await wait_for(*wants); !ready) co_return ready.error();
    }
}

Result<Socket::wait_type> Stream::ssl_wants(int result, const char* what) {
    const int saved_errno = errno;
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return Socket::wait_read;
        case SSL_ERROR_WANT_WRITE:
            return Socket::wait_write;
        case SSL_ERROR_ZERO_RETURN:
            return Error{ErrorKind::end_of_stream, "closed"};
        case SSL_ERROR_SYSCALL:
            if (ERR_peek_error() == 0)
                return saved_errno ? io_error(saved_errno) : Error{ErrorKind::io, "closed without close_notify"};
            break;
        default:
            break;
    }
    const auto code = ERR_get_error();
    ERR_clear_error();
    if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return Error{ErrorKind::io, "closed without close_notify"};
    const char* reason = ERR_reason_error_string(code);
    if (auto why = tls::verify_failure_text(ssl_.get()); !why.empty())
        return Error{ErrorKind::tls, "the origin " + why};
    return Error{ErrorKind::tls, std::string("TLS ") + what + ": " + (reason ? reason : "failed")};
}

/// A peer that gives up says why in an alert, which may still wait to be read when a write fails.
Error Stream::last_words(Error otherwise) {
    char byte = 0;
    ERR_clear_error();
    const int n = SSL_peek(ssl_.get(), &byte, 1);
    if (n > 0) return otherwise;
    const auto wants = ssl_wants(n, "read");
    if (!wants && wants.error().kind == ErrorKind::tls) return wants.error();
    return otherwise;
}

void Stream::shutdown_write() {
    if (ssl_ && SSL_is_init_finished(ssl_.get())) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());  // best effort: one small record, never waited for
        ERR_clear_error();
    }
    ::shutdown(socket_.native_handle(), SHUT_WR);
}

void Stream::reset() {
    const linger hard{1, 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    boost::system::error_code ignored;
    socket_.close(ignored);
}

bool Stream::is_idle_and_open() {
    if (ssl_) {
        // Session tickets may wait to be read; application data or an end may not.
        bool idle = true;
        drained_ = false;
        for (int record = 0; idle && !drained_; ++record) {
            char byte = 0;
            ERR_clear_error();
            const int n = SSL_peek(ssl_.get(), &byte, 1);
            idle = n <= 0 && SSL_get_error(ssl_.get(), n) == SSL_ERROR_WANT_READ && record < kMostUnpaused;
        }
        ERR_clear_error();
        return idle;
    }
    char byte = 0;
    return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && would_block(errno);
}

const BIO_METHOD* Stream::bio_method() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sallyport stream");
        BIO_meth_set_read(m, bio_read);
        BIO_meth_set_write(m, bio_write);
        BIO_meth_set_ctrl(m, bio_ctrl);
        return m;
    }();
    return method;
}

int Stream::bio_read(BIO* bio, char* data, int size) {
    BIO_clear_retry_flags(bio);
    auto* self = static_cast<Stream*>(BIO_get_data(bio));
    Waits waits;
    const auto n = self->read_socket({data, static_cast<std::size_t>(size)}, waits);
    if (waits) {
        self->drained_ = true;
        BIO_set_retry_read(bio);
        return -1;
    }
    if (n) return static_cast<int>(*n);
    if (n.error().kind != ErrorKind::end_of_stream) return -1;
    errno = 0;
    return 0;
}

int Stream::bio_write(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    const int fd = static_cast<Stream*>(BIO_get_data(bio))->socket_.native_handle();
    const ssize_t n = ::send(fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (n < 0 && would_block(errno)) BIO_set_retry_write(bio);
    return static_cast<int>(n);
}

long Stream::bio_ctrl(BIO* bio, int command, long, void*) {
    switch (command) {
        case BIO_CTRL_FLUSH:
            return 1;
        case BIO_CTRL_EOF:
            return 0;
        default:
            (void)bio;
            return 0;
    }
}

}  // namespace sallyport::net
