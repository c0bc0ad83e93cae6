#include "gateway/app/proxy.hpp"

#include "gateway/session/proxy_session.hpp"
#include "gateway/session/session.hpp"

namespace sallyport::app {
namespace {

dns::Sockets dns_sockets(container::GatewaySockets& sockets) {
    dns::Sockets out;
    for (UniqueFd* fd : {&sockets.dns_udp4, &sockets.dns_udp6})
        if (*fd) out.udp.push_back(std::move(*fd));
    for (UniqueFd* fd : {&sockets.dns_tcp4, &sockets.dns_tcp6})
        if (*fd) out.tcp.push_back(std::move(*fd));
    return out;
}

}  // namespace

Proxy::Proxy(boost::asio::io_context& io, session::LiveRules& rules, const tls::Authority& authority,
             audit::Audit& audit, container::GatewaySockets sockets, const ProxyOptions& options)
    : audit_(audit),
      leaves_(authority),
      client_tls_(options.trusted_pem, options.trusts_system_too),
      watchdog_(io.get_executor(),
                [this, &rules] {
                    if (!audit_.healthy()) rules.end_all({ErrorKind::unavailable, audit::kUnwritable});
                }),
      resolver_(io.get_executor(), options.name_servers),
      dialler_(resolver_, rules.current()->policy->mode() == policy::Mode::audit, options.outer_proxy),
      gateway_{rules, server_tls_, leaves_, *addresses_, dialler_, pool_, watchdog_, audit, options.limits},
      sessions_{0, options.most_sessions} {
    listen(io, std::move(sockets.tcp4), session::serve_redirected);
    listen(io, std::move(sockets.tcp6), session::serve_redirected);
    listen(io, std::move(sockets.proxy4), session::serve_proxied);
    listen(io, std::move(sockets.proxy6), session::serve_proxied);
    dns_ = std::make_unique<dns::Server>(
        io, dns_sockets(sockets), addresses_, [&rules] { return rules.current()->policy; },
        [this](const dns::DeniedName& name) { record_denied(name); }, dns::Server::Limits{});
    if (sockets.packet_log) packets_ = std::make_unique<PacketAudit>(io, std::move(sockets.packet_log), audit);
}

void Proxy::listen(boost::asio::io_context& io, UniqueFd socket, session::Listener::Serve serve) {
    if (!socket) return;
    listeners_.emplace_back(io, gateway_, std::move(socket), sessions_, serve).start();
}

void Proxy::record_denied(const dns::DeniedName& name) {
    audit::NameEvent event;
    event.name = name.name;
    event.type = name.type;
    event.reason = name.why;
    event.would_deny = name.would_deny;
    audit_.record(std::move(event));
}

void Proxy::stop(const char* why) {
    for (auto& listener : listeners_) listener.stop();
    dns_.reset();
    if (packets_) packets_->drain();
    packets_.reset();
    watchdog_.end_all({ErrorKind::cancelled, why});
    watchdog_.stop();
}

}  // namespace sallyport::app
