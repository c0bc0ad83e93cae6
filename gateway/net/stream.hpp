#pragma once
// One TCP connection, plain or under TLS, as coroutines that read and write bytes.
//
// OpenSSL works directly on the socket (through a small BIO of our own), not on a pair of memory BIOs: a record
// is copied once. Each call tries the system call first and waits for the socket only when that would block.
// At most one coroutine reads and one writes at a time; both may wait together. A peer that is always ready would
// never make its coroutine wait: now and then it lets the other sessions run all the same.
//
// Every wait ends when the lifeline ends. A stream without a lifeline (an idle pooled connection) must not be used.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gateway/base/result.hpp"
#include "gateway/net/lifeline.hpp"
#include "gateway/tls/openssl_handles.hpp"

namespace sallyport::net {

template <class T>
using Task = boost::asio::awaitable<Result<T>>;

using Socket = boost::asio::ip::tcp::socket;

class Stream final : public Cancellable {
public:
    Stream(Socket socket, Lifeline& lifeline);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// Bytes that were read before and shall be read again first (the client's hello).
    void replay(std::string bytes);

    /// Performs the handshake as `ssl` was set up for (server or client). The stream is under TLS afterwards.
    Task<void> handshake(tls::SslPtr ssl);
    SSL* ssl() const { return ssl_.get(); }

    /// At least one byte; ErrorKind::end_of_stream when the peer closed in order.
    Task<std::size_t> read_some(std::span<char> into);
    /// Returns when something can be read (or the peer closed) without a buffer being held meanwhile.
    Task<void> wait_readable();
    /// The same, for at most `time`: false when it passed.
    Task<bool> wait_readable_for(Clock::duration time);
    /// For who moves bytes past read_some and write: when `is_raw`, they stand in the socket as they will be read.
    bool is_raw() const { return !ssl_ && replayed_ == replay_.size(); }
    Task<void> wait_writable();
    Task<void> let_others_run();
    Task<void> write(std::string_view bytes);
    /// A head and the beginning of a body in one system call, under TLS in one record as far as they fit.
    Task<void> write(std::string_view first, std::string_view second);

    /// No more bytes from us: FIN, under TLS after close_notify.
    void shutdown_write();
    /// The peer gets a reset: for what is refused without a word.
    void reset();

    /// Ends what waits now and whatever would wait later, until resume().
    void abort();
    void resume() { aborted_ = false; }
    bool aborted() const { return aborted_; }

    /// Whether an idle connection can still be used: nothing waits to be read, the peer has not closed.
    bool is_idle_and_open();

    void cancel() override;
    bool peer_gone() override;
    /// What TLS holds to read and write with, where nothing is in it; it comes back with the next byte.
    void release_buffers() override;

    /// Hands the stream from one session to another (origin pool); null while nobody uses it.
    void set_lifeline(Lifeline*);
    Lifeline& lifeline() { return *lifeline_; }
    Socket& socket() { return socket_; }

private:
    /// What to wait for when nothing was read; empty: for nothing, try again.
    using Waits = std::optional<Socket::wait_type>;
    bool at_hand() const;  ///< bytes that need no system call
    Result<std::size_t> read_socket(std::span<char> into, Waits&);
    Result<std::size_t> read_tls(std::span<char> into, Waits&);
    Task<void> wait_for(Socket::wait_type);
    Result<Socket::wait_type> ssl_wants(int result, const char* what);
    Error last_words(Error otherwise);
    static const BIO_METHOD* bio_method();
    static int bio_read(BIO*, char*, int);
    static int bio_write(BIO*, const char*, int);
    static long bio_ctrl(BIO*, int, long, void*);

    Socket socket_;
    Lifeline* lifeline_;
    std::string replay_;
    std::size_t replayed_ = 0;
    bool aborted_ = false;
    int unpaused_ = 0;      ///< operations since this stream last waited
    bool drained_ = false;  ///< the TLS library has read all that had come
    bool asked_ = false;    ///< something was written since, whose answer takes its time: no use in reading at once
    tls::SslPtr ssl_;
};

}  // namespace sallyport::net
