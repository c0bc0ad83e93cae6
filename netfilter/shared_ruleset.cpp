#include "netfilter/shared_ruleset.hpp"

#include <netinet/icmp6.h>
#include <netinet/in.h>

#include <initializer_list>
#include <utility>

#include "netfilter/refusals.hpp"

namespace sallyport::netfilter {
namespace {

constexpr std::uint32_t kDeepestLevel = 16;
constexpr ConnectionMark kOpenedByGateway{0x6761};
constexpr DestinationIpv4 kToDockersResolver{{127, 0, 0, 11}};
constexpr SourceIpv4 kFromDockersResolver{{127, 0, 0, 11}};

/// The answers to connections from outside. Only of published ports, so that no other forged or forgotten connection
/// can be answered into the open.
void let_answers_out(const SharedPlan& plan, std::vector<Rule>& rules) {
    for (const auto port : plan.published)
        rules.push_back(
            {SourcePort{IPPROTO_TCP, port}, Is::established, Is::reply, SetMark{plan.mark}, Verdict::accept});
}

// What a packet socket injects into `lo` comes from or goes to another address; what programs send each other does
// not. The answers of redirected connections come back with the address that the client dialled, and so
// do the resets of connections that are refused; those of the gateway's own connections are not among them.
Chain arrival_chain() {
    return {"arrival",
            Base{ChainType::filter, Hook::prerouting, -150, Policy::accept},
            {{Is::from_loopback, Is::redirected, Is::reply, Verdict::accept},
             {Is::from_loopback, Is::tcp_reset, Is::reply, ConnectionMark{0}, Verdict::accept},
             {Is::from_loopback, Is::foreign_source, Verdict::drop},
             {Is::from_loopback, Is::foreign_destination, Verdict::drop}}};
}

// As in the sealed form, after the gateway's own connections. Of those, the ones to Docker's resolver are for Docker's
// chain at priority -100.
Chain divert_chain(const SharedPlan& plan) {
    Chain chain{"divert", Base{ChainType::nat, Hook::output, -105, Policy::accept}, {}};
    for (const auto& gateway : plan.gateway) chain.rules.push_back({gateway, Verdict::accept});
    if (!plan.intercept.ipv6) chain.rules.push_back({Is::ipv6, Verdict::accept});
    chain.rules.push_back({DestinationPort{IPPROTO_TCP, 53}, Redirect{plan.intercept.dns_port}});
    chain.rules.push_back({DestinationPort{IPPROTO_UDP, 53}, Redirect{plan.intercept.dns_port}});
    chain.rules.push_back({Is::local_destination, Verdict::accept});
    chain.rules.push_back({Protocol{IPPROTO_TCP}, Redirect{plan.intercept.proxy_port}});
    return chain;
}

// Packets that no program holds are the kernel's (neighbour discovery, RST), or of sockets that were closed before all
// was sent, or that the kernel made for a program's other one (SMC). They are judged by their connection, and come to
// nothing where it is none of the gateway's.
Chain output_chain(const SharedPlan& plan) {
    Chain chain{"output", Base{ChainType::filter, Hook::output, 0, Policy::drop}, {}};
    chain.rules.push_back({Is::owned, Goto{"programs"}});
    chain.rules.push_back({kOpenedByGateway, Is::original, SetMark{plan.mark}, Verdict::accept});
    let_answers_out(plan, chain.rules);
    for (const auto type :
         std::initializer_list<std::uint8_t>{ND_ROUTER_SOLICIT, ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT})
        chain.rules.push_back({NeighbourDiscovery{type}, SetMark{plan.mark}, Verdict::accept});
    chain.rules.push_back({kToDockersResolver, Verdict::drop});
    chain.rules.push_back({Is::local_destination, Verdict::accept});
    return chain;
}

// A forged source is refused first: IPv6 allows one to any user (IPV6_FREEBIND), a raw socket for IPv4 too, and
// conntrack would take the packet for the first of a connection from outside, to be answered at will. Docker's resolver
// listens on another port than 53, and its own rules turn the one into the other: who sends from 53 only plays it.
Chain programs_chain(const SharedPlan& plan) {
    Chain chain{"programs", {}, {}};
    const auto group = plan.intercept.log_group;
    for (const auto& gateway : plan.gateway) chain.rules.push_back({gateway, Goto{"gateway"}});
    refuse(chain.rules, "other", {Is::foreign_source}, group, Verdict::drop);
    refuse(chain.rules, "direct", {kFromDockersResolver, SourcePort{IPPROTO_UDP, 53}}, group, Verdict::drop);
    refuse(chain.rules, "direct", {kToDockersResolver, Protocol{IPPROTO_TCP}}, group, Reject::tcp_reset);
    refuse(chain.rules, "direct", {kToDockersResolver}, group, Reject::admin_prohibited);
    refuse(chain.rules, "direct", {DestinationPort{IPPROTO_TCP, plan.intercept.proxy_port}, Is::not_redirected}, group,
           Reject::tcp_reset);
    chain.rules.push_back({Is::local_destination, Verdict::accept});
    let_answers_out(plan, chain.rules);
    refuse_all(chain.rules, group);
    return chain;
}

// Only what the gateway opens is marked as its connection, not what it answers: those are the sandbox's. What stays
// here gets no mark, since any program can see the mark of what it receives (SO_ATTACH_FILTER).
Chain gateway_chain(const SharedPlan& plan) {
    return {"gateway",
            {},
            {{Is::original, SetConnectionMark{kOpenedByGateway.value}},
             {Is::local_destination, Verdict::accept},
             {SetMark{plan.mark}, Verdict::accept}}};
}

Chain input_chain(const SharedPlan& plan) {
    Chain chain{"input", Base{ChainType::filter, Hook::input, 0, Policy::drop}, {}};
    chain.rules.push_back({Is::from_loopback, Verdict::accept});
    chain.rules.push_back({Is::established, Verdict::accept});
    chain.rules.push_back({Is::related, Verdict::accept});
    for (const auto type :
         std::initializer_list<std::uint8_t>{ND_ROUTER_ADVERT, ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT})
        chain.rules.push_back({NeighbourDiscovery{type}, Verdict::accept});
    // With the flags, since conntrack also calls new what it meets in the middle of a connection.
    for (const auto port : plan.published)
        chain.rules.push_back({DestinationPort{IPPROTO_TCP, port}, Is::opening_tcp, Is::fresh, Verdict::accept});
    return chain;
}

// A packet for a local address can still be on its way to an uplink, if its socket is bound to that device; here the
// route is final. It also guards an interface that showed up later, which the egress chain does not know.
Chain departure_chain(const SharedPlan& plan) {
    return {"departure",
            Base{ChainType::filter, Hook::postrouting, 0, Policy::drop},
            {{Is::to_loopback, Verdict::accept}, {Mark{plan.mark}, Verdict::accept}}};
}

// What leaves a device, from packet sockets as well. Address resolution is the kernel's; a frame that only claims to be
// such comes from a packet socket. The mark is cleared, so that no tap can read it.
Table device_table(const SharedPlan& plan) {
    Table table{Family::netdev, "sallyport", {}};
    if (!plan.uplinks.empty())
        table.chains.push_back({"uplinks",
                                Base{ChainType::filter, Hook::egress, 0, Policy::drop, plan.uplinks},
                                {{Is::arp, Is::owned, Verdict::drop},
                                 {Is::arp, Verdict::accept},
                                 {Mark{plan.mark}, SetMark{0}, Verdict::accept}}});
    return table;
}

}  // namespace

std::vector<Statement> of_cgroup(std::uint64_t id) {
    std::vector<Statement> levels;
    for (std::uint32_t level = 0; level <= kDeepestLevel; ++level) levels.push_back(OwnerCgroup{level, id});
    return levels;
}

Ruleset shared_ruleset(const SharedPlan& plan) {
    return {{Family::inet,
             "sallyport",
             {arrival_chain(),
              divert_chain(plan),
              output_chain(plan),
              programs_chain(plan),
              gateway_chain(plan),
              input_chain(plan),
              {"forward", Base{ChainType::filter, Hook::forward, 0, Policy::drop}, {}},
              departure_chain(plan)}},
            device_table(plan)};
}

}  // namespace sallyport::netfilter
