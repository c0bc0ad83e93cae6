#pragma once
// Serves answer() on sockets that were made in the sandbox's namespace.

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "gateway/base/unique_fd.hpp"
#include "gateway/dns/answer.hpp"

namespace sallyport::dns {

/// Bound sockets, the TCP ones listening; IPv4 and IPv6 in any number. An answer leaves from the address that its
/// question came to because each is bound to one address.
struct Sockets {
    std::vector<UniqueFd> udp;
    std::vector<UniqueFd> tcp;
};

class Server {
public:
    struct Limits {
        std::size_t connections = 64;                        ///< over TCP, at once; more are closed
        std::chrono::milliseconds message_deadline{10'000};  ///< for each question or answer over TCP to pass
    };

    /// The policy of the moment: asked for each question, so that a reload counts at once.
    using PolicySource = std::function<std::shared_ptr<const policy::Policy>()>;
    /// Called for each refused name, once a minute at most (see DeniedNames). On the io_context's thread.
    using OnDenied = std::function<void(const DeniedName&)>;

    /// Starts to serve when the io_context, which one thread runs, does.
    /// Throws StartupError for a descriptor that is no such socket.
    Server(boost::asio::io_context&, Sockets, std::shared_ptr<VirtualAddresses> addresses, PolicySource, OnDenied,
           Limits limits);
    /// Closes every socket; neither callback is called afterwards.
    ~Server();
    Server(Server&&) noexcept;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace sallyport::dns
