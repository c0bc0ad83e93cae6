#pragma once
// One TLS connection of a client that has many: a state machine over a socket that does not block.

#include <chrono>
#include <cstdint>
#include <string>

#include "gateway/base/unique_fd.hpp"
#include "gateway/tls/openssl_handles.hpp"

namespace sallyport::bench {

using Clock = std::chrono::steady_clock;

/// For clients that keep no session: every handshake is a full one. Certificates are not verified, which would only be
/// work for the client; but their name is checked.
tls::SslCtxPtr make_context();

struct Target {
    std::string address;
    std::uint16_t port = 443;
    std::string name;   ///< SNI, Host, and what the certificate has to be for
    std::string path;   ///< to ask for; empty: nothing is asked
    bool keep = false;  ///< the connection stays open after the answer
};

class TlsClient {
public:
    enum class State { going, open, done, failed };  ///< `open`: it was answered, and is kept

    /// Starts to connect.
    TlsClient(SSL_CTX* context, Target target);

    /// Goes on as far as it can; to be called whenever the socket is ready for `events()`.
    State advance();
    int fd() const { return socket_.get(); }
    std::uint32_t events() const { return events_; }  ///< of epoll
    const std::string& error() const { return error_; }
    Clock::time_point begin() const { return begin_; }

private:
    enum class Phase { connecting, handshake, asking, reading, draining };

    State fail(std::string why);
    State wait_for(int ssl_result);
    bool connected();
    bool check_handshake();
    State read_answer();
    bool answered() const;

    Target target_;
    UniqueFd socket_;
    tls::SslPtr ssl_;
    Phase phase_ = Phase::connecting;
    std::uint32_t events_;
    std::string request_;
    std::string answer_;
    std::string error_;
    Clock::time_point begin_ = Clock::now();
};

}  // namespace sallyport::bench
