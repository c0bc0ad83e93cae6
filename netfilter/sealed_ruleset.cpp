#include "netfilter/sealed_ruleset.hpp"

#include <netinet/in.h>

#include "netfilter/refusals.hpp"

namespace sallyport::netfilter {
namespace {

// Port 53 comes before local addresses: resolv.conf may name 127.0.0.53 or Docker's 127.0.0.11. The chain runs before
// priority -100, where Docker redirects the latter; the first NAT rule that matches decides.
Chain divert_chain(const InterceptPlan& plan) {
    Chain chain{"divert", Base{ChainType::nat, Hook::output, -105, Policy::accept}, {}};
    if (!plan.ipv6) chain.rules.push_back({Is::ipv6, Verdict::accept});
    chain.rules.push_back({DestinationPort{IPPROTO_TCP, 53}, Redirect{plan.dns_port}});
    chain.rules.push_back({DestinationPort{IPPROTO_UDP, 53}, Redirect{plan.dns_port}});
    chain.rules.push_back({Is::local_destination, Verdict::accept});
    chain.rules.push_back({Protocol{IPPROTO_TCP}, Redirect{plan.proxy_port}});
    return chain;
}

// Judged after the redirect, a redirected packet has a local destination, and so has each of its answers. There is on
// purpose no rule "redirected: accept": a raw socket can forge a source address, and only an answer that is refused
// here keeps it from opening a connection under that name. The reject stands in the output hook because only there
// the sender gets the error as the return value of its own send(2), unconnected sockets too (EPERM); further down the
// path an unconnected UDP socket never hears of it and waits.
Chain output_chain(const InterceptPlan& plan) {
    Chain chain{"output", Base{ChainType::filter, Hook::output, 0, Policy::drop}, {}};
    refuse(chain.rules, "direct", {DestinationPort{IPPROTO_TCP, plan.proxy_port}, Is::not_redirected}, plan.log_group,
           Reject::tcp_reset);
    chain.rules.push_back({Is::local_destination, Verdict::accept});
    refuse_all(chain.rules, plan.log_group);
    return chain;
}

}  // namespace

// Nothing comes in or passes through yet, having no interface to do so: the chains input and forward are for one that
// shows up later (docker network connect), and for frames that a packet socket injects into lo to be forwarded.
Ruleset sealed_ruleset(const InterceptPlan& plan) {
    return {{Family::inet,
             "sallyport",
             {output_chain(plan),
              {"input", Base{ChainType::filter, Hook::input, 0, Policy::drop}, {{Is::from_loopback, Verdict::accept}}},
              {"forward", Base{ChainType::filter, Hook::forward, 0, Policy::drop}, {}},
              divert_chain(plan)}}};
}

}  // namespace sallyport::netfilter
