#pragma once
// [[publish]] in the sealed form: connections from outside to ports that programs in the sandbox listen on.
//
// The doorway makes a fresh socket in the sandbox's namespace for each connection, and we connect that one to the
// namespace's loopback address. The sandbox only ever accepts: nothing here dials for it.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>
#include <string>
#include <vector>

#include "gateway/audit/audit.hpp"
#include "gateway/base/unique_fd.hpp"
#include "gateway/net/stream.hpp"
#include "gateway/policy/policy.hpp"

namespace sallyport::app {

/// One listener for each, on every address of this network namespace. Throws StartupError that names port and rule.
std::vector<UniqueFd> open_published_ports(const std::vector<policy::Publication>&);

/// Runs on the io_context's one thread. What is passed by reference must outlive it.
class Publisher {
public:
    /// At once, over all ports; more wait in the kernel's queue.
    static constexpr std::size_t kMaxConnections = 256;

    /// `listeners` as open_published_ports(publications) opened them. Accepts at once.
    Publisher(boost::asio::io_context&, std::string doorway, audit::Audit&,
              const std::vector<policy::Publication>& publications, std::vector<UniqueFd> listeners);

    /// Ends the connections that run, for that reason.
    void end_all(const char* why) { watchdog_.end_all({ErrorKind::cancelled, why}); }
    /// No new connections; those that run are ended while the io_context runs on.
    void stop(const char* why);
    std::size_t connections() const { return connections_; }

private:
    using Acceptor = boost::asio::ip::tcp::acceptor;
    boost::asio::awaitable<void> accept_all(Acceptor&, policy::Publication);
    boost::asio::awaitable<void> serve(net::Socket, policy::Publication);
    net::Task<void> relay_into(net::Stream& outside, net::Lifeline&, std::uint16_t port, audit::Traffic&);
    net::Task<net::Socket> connect_inside(net::Lifeline&, std::uint16_t port);
    net::Task<net::Socket> connect_family(net::Lifeline&, Endpoint);

    boost::asio::io_context& io_;
    std::string doorway_;
    audit::Audit& audit_;
    net::Watchdog watchdog_;
    std::size_t connections_ = 0;
    std::list<Acceptor> acceptors_;
};

}  // namespace sallyport::app
