#pragma once
// Accepts what the sandbox connects, one session each.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>

#include "gateway/base/unique_fd.hpp"
#include "gateway/net/stream.hpp"
#include "gateway/session/gateway.hpp"

namespace sallyport::session {

class Listener {
public:
    /// What becomes of a connection: serve_redirected or serve_proxied.
    using Serve = boost::asio::awaitable<void> (*)(Gateway&, net::Socket);

    /// More connections than that wait in the kernel's queue until some have ended.
    static constexpr std::size_t kMaxSessions = 4096;

    /// `listening` was made in the sandbox's namespace. Throws StartupError when it is no listening TCP socket.
    Listener(boost::asio::io_context&, Gateway&, UniqueFd listening, std::size_t& sessions, Serve);

    /// Accepts until stop(). Sessions that run go on.
    void start();
    void stop();

private:
    boost::asio::awaitable<void> accept_all();
    int accept_one();
    boost::asio::awaitable<void> pause();

    boost::asio::io_context& io_;
    Gateway& gateway_;
    const boost::asio::ip::tcp protocol_;
    boost::asio::ip::tcp::acceptor acceptor_;
    std::size_t& sessions_;   ///< of all listeners of the thread
    const Serve serve_;
};

}  // namespace sallyport::session
