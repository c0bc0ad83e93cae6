#pragma once
// The gateway's serving half, wired together: sessions and DNS behind the sockets of one sealed namespace.

#include <boost/asio/io_context.hpp>
#include <list>
#include <memory>

#include "container/seal.hpp"
#include "gateway/app/packet_audit.hpp"
#include "gateway/dns/server.hpp"
#include "gateway/session/listener.hpp"
#include "gateway/tls/authority.hpp"

namespace sallyport::app {

/// What a machine or a test may want otherwise.
struct ProxyOptions {
    session::TimeLimits limits;
    std::string trusted_pem;   ///< authorities that origins are verified against; empty: the system's
    std::string name_servers;  ///< as net::Resolver takes them; empty: the system's
    std::optional<net::OuterProxy> outer_proxy = {};
    std::size_t most_sessions = session::Sessions::most_of(net::most_descriptors());
    bool trusts_system_too = false;  ///< its authorities beside those of trusted_pem
};

/// Serves under whatever the rules are at the moment; several may share them. Runs on the io_context's one thread. What
/// is passed by reference must outlive it.
class Proxy {
public:
    Proxy(boost::asio::io_context&, session::LiveRules&, const tls::Authority&, audit::Audit&,
          container::GatewaySockets, const ProxyOptions& = {});

    /// No new connections; those that run are ended, and record their end while the io_context runs on.
    void stop(const char* why = "the command has ended");
    std::size_t sessions() const { return sessions_.open; }
    /// Sessions, requests and connections to origins that have not ended yet.
    std::size_t under_way() const { return watchdog_.sessions(); }

private:
    void listen(boost::asio::io_context&, UniqueFd, session::Listener::Serve);
    void record_denied(const dns::DeniedName&);

    audit::Audit& audit_;
    std::shared_ptr<dns::VirtualAddresses> addresses_ = std::make_shared<dns::VirtualAddresses>();
    tls::LeafCache leaves_;
    tls::ServerContext server_tls_;
    tls::ClientContext client_tls_;
    net::Watchdog watchdog_;
    net::Resolver resolver_;
    net::Dialler dialler_;
    http::OriginPool pool_{dialler_, client_tls_, watchdog_};
    session::Gateway gateway_;
    session::Sessions sessions_;
    std::list<session::Listener> listeners_;
    std::unique_ptr<dns::Server> dns_;
    std::unique_ptr<PacketAudit> packets_;
};

}  // namespace sallyport::app
