#pragma once
// Blocking sockets for tests: a peer that says exactly what the test writes and hears exactly what comes.

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/base/unique_fd.hpp"
#include "gateway/tls/openssl_handles.hpp"

namespace sallyport::test {

/// One end of a connection. Every read ends after 10 seconds, so that a broken feature fails a test and hangs none.
class WirePeer {
public:
    explicit WirePeer(UniqueFd fd);

    /// Everything from here on goes under TLS. "" when the handshake is done, else why it is not.
    std::string start_tls(tls::SslPtr ssl);
    SSL* ssl() const { return ssl_.get(); }

    /// False when the other side is gone.
    bool send(std::string_view bytes);
    void shutdown_write();
    void close();
    /// The other side gets a reset.
    void reset();
    /// Reading ends with an error and not with the other side's FIN.
    bool is_reset();
    /// Reads until `mark` has come; what came behind it stays for the next call. All that came when the peer closed.
    std::string read_until(std::string_view mark);
    std::string read_exactly(std::size_t bytes);
    /// Head and body of one HTTP message, by Content-Length or chunked (left encoded); a head alone otherwise.
    std::string read_message();
    std::string read_to_end();
    /// True when nothing came for `milliseconds`: for asserting that something does not happen.
    bool silent_for(int milliseconds);
    /// Something came that was not read yet. Never waits.
    bool has_input() { return !silent_for(0); }
    bool closed();
    /// False when the other side takes nothing for `milliseconds`.
    bool writable_within(int milliseconds);
    int fd() const { return fd_.get(); }

private:
    enum class Came { bytes, end, nothing };
    Came fill_within(int milliseconds);
    bool fill();
    UniqueFd fd_;
    tls::SslPtr ssl_;
    std::string buffer_;
};

/// For this thread a connection that is gone is an error, as in the program; other tests look at what is ignored.
void block_sigpipe();

UniqueFd connect_to_loopback(std::uint16_t port);

/// Both ends of a TCP connection over loopback.
std::pair<UniqueFd, UniqueFd> connected_pair();

/// Accepts on 127.0.0.1 and runs `serve` with each connection, on threads of its own.
class WireOrigin {
public:
    /// `one_by_one`: a connection waits until the ones before have ended, and `serve` needs no locks.
    enum class Serving { one_by_one, side_by_side };

    /// With `tls`, `serve` gets the connections whose handshake was completed.
    explicit WireOrigin(std::function<void(WirePeer&)> serve, tls::SslCtxPtr tls = nullptr,
                        Serving serving = Serving::one_by_one);
    ~WireOrigin();
    std::uint16_t port() const { return port_; }
    int connections() const { return connections_; }
    int handshakes() const { return handshakes_; }

private:
    void accept_all();
    void run(UniqueFd fd);

    std::uint16_t port_ = 0;  // set by the next one's initialiser
    UniqueFd listener_;
    tls::SslCtxPtr tls_;
    std::atomic<int> connections_ = 0;
    std::atomic<int> handshakes_ = 0;
    std::atomic<bool> ending_ = false;
    std::function<void(WirePeer&)> serve_;
    const Serving serving_;
    std::list<std::thread> side_by_side_;
    std::thread thread_;
};

}  // namespace sallyport::test
