#include "container/seal.hpp"

#include "container/links.hpp"
#include "container/listeners.hpp"
#include "netfilter/apply.hpp"
#include "netfilter/packet_log.hpp"
#include "netfilter/sealed_ruleset.hpp"

namespace sallyport::container {
// The order: `lo` first, since 127.0.0.1 cannot be bound without it; then sockets, since the rules name their ports;
// then the rules; the routes last. Nothing is reachable at any point, there being no interface to leave by. But until
// the routes exist, a connection fails with "network is unreachable" instead of being looped to nobody, and whatever
// step fails leaves a namespace without routes.
GatewaySockets seal_namespace() {
    require_no_uplink();
    raise_loopback();
    const bool ipv6 = namespace_has_ipv6();

    GatewaySockets sockets;
    sockets.packet_log = netfilter::open_packet_log(kLogGroup);  // one holder at a time: a second seal ends here
    const auto ports = open_listeners(sockets);
    netfilter::InterceptPlan plan;
    plan.proxy_port = ports.tcp;
    plan.dns_port = ports.dns;
    plan.log_group = kLogGroup;
    plan.ipv6 = ipv6;

    netfilter::apply(netfilter::sealed_ruleset(plan));
    route_all_to_loopback(ipv6);
    return sockets;
}

}  // namespace sallyport::container
