#pragma once
// Accepts what the sandbox connects, one session each.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>

#include "gateway/base/unique_fd.hpp"
#include "gateway/net/descriptors.hpp"
#include "gateway/net/stream.hpp"
#include "gateway/session/gateway.hpp"

namespace sallyport::session {

/// The sessions of all listeners of a thread. When there are as many as may be, or no descriptor is left for one more,
/// the one goes whose client has kept us waiting for the longest; where none does, new ones wait in the kernel's queue.
struct Sessions {
    static constexpr std::size_t kMost = 16'384;

    /// Of the descriptors a third is left to what sessions dial: an idle one has only its own.
    static std::size_t most_of(std::size_t descriptors);

    std::size_t open = 0;
    std::size_t most = 0;
};

class Listener {
public:
    /// What becomes of a connection: serve_redirected or serve_proxied.
    using Serve = boost::asio::awaitable<void> (*)(Gateway&, net::Socket);

    /// `listening` was made in the sandbox's namespace. Throws StartupError when it is no listening TCP socket.
    Listener(boost::asio::io_context&, Gateway&, UniqueFd listening, Sessions&, Serve);

    /// Accepts until stop(). Sessions that run go on.
    void start();
    void stop();

private:
    boost::asio::awaitable<void> accept_all();
    int accept_one();
    boost::asio::awaitable<void> make_room();
    boost::asio::awaitable<void> pause();

    boost::asio::io_context& io_;
    Gateway& gateway_;
    const boost::asio::ip::tcp protocol_;
    boost::asio::ip::tcp::acceptor acceptor_;
    Sessions& sessions_;
    const Serve serve_;
};

}  // namespace sallyport::session
