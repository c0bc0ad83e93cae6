#include "netfilter/ruleset.hpp"

#include <netinet/in.h>

#include <utility>

namespace sallyport::netfilter {
namespace {

constexpr Limit kLogLimit{.per_second = 10, .burst = 20};

/// Each class of traffic has a limit of its own, so that a flood of one cannot hide the others.
void refuse(std::vector<Rule>& rules, std::string_view what, const Rule& matches, std::uint16_t group, Reject answer) {
    Rule log = matches;
    log.insert(log.end(), {kLogLimit, Log{std::string(what), group}});
    rules.push_back(std::move(log));
    Rule reject = matches;
    reject.emplace_back(answer);
    rules.push_back(std::move(reject));
}

// Port 53 comes before local addresses: resolv.conf may name 127.0.0.53 or Docker's 127.0.0.11. The chain runs before
// priority -100, where Docker redirects the latter; the first NAT rule that matches decides.
Chain divert_chain(const InterceptPlan& plan) {
    Chain chain{"divert", ChainType::nat, Hook::output, -105, Policy::accept, {}};
    if (!plan.ipv6) chain.rules.push_back({FamilyIsIpv6{}, Accept{}});
    chain.rules.push_back({DestinationPort{IPPROTO_TCP, 53}, Redirect{plan.dns_port}});
    chain.rules.push_back({DestinationPort{IPPROTO_UDP, 53}, Redirect{plan.dns_port}});
    chain.rules.push_back({LocalDestination{}, Accept{}});
    chain.rules.push_back({Protocol{IPPROTO_TCP}, Redirect{plan.proxy_port}});
    return chain;
}

// Judged after the redirect, a redirected packet has a local destination, and so has each of its answers. There is on
// purpose no rule "redirected: accept": a raw socket can forge a source address, and only an answer that is refused
// here keeps it from opening a connection under that name. The reject stands in the output hook because only there
// the sender gets the error as the return value of its own send(2), unconnected sockets too (EPERM); further down the
// path an unconnected UDP socket never hears of it and waits.
Chain output_chain(const InterceptPlan& plan) {
    Chain chain{"output", ChainType::filter, Hook::output, 0, Policy::drop, {}};
    const auto refuse_as = [&](std::string_view what, const Rule& matches, Reject answer) {
        refuse(chain.rules, what, matches, plan.log_group, answer);
    };
    refuse_as("direct", {DestinationPort{IPPROTO_TCP, plan.proxy_port}, NotRedirected{}}, Reject::tcp_reset);
    chain.rules.push_back({LocalDestination{}, Accept{}});
    refuse_as("tcp", {Protocol{IPPROTO_TCP}}, Reject::tcp_reset);
    refuse_as("quic", {DestinationPort{IPPROTO_UDP, 443}}, Reject::admin_prohibited);
    refuse_as("udp", {Protocol{IPPROTO_UDP}}, Reject::admin_prohibited);
    refuse_as("icmp", {Protocol{IPPROTO_ICMP}}, Reject::admin_prohibited);
    refuse_as("icmp", {Protocol{IPPROTO_ICMPV6}}, Reject::admin_prohibited);
    refuse_as("other", {}, Reject::admin_prohibited);
    return chain;
}

std::string protocol_name(std::uint8_t number) {
    switch (number) {
        case IPPROTO_TCP:
            return "tcp";
        case IPPROTO_UDP:
            return "udp";
        case IPPROTO_ICMP:
            return "icmp";
        case IPPROTO_ICMPV6:
            return "ipv6-icmp";
        default:
            return std::to_string(number);
    }
}

struct Printer {
    std::string operator()(FamilyIsIpv6) const { return "meta nfproto ipv6"; }
    std::string operator()(FromLoopback) const { return "iif \"lo\""; }
    std::string operator()(LocalDestination) const { return "fib daddr type local"; }
    std::string operator()(NotRedirected) const { return "ct status & dnat == 0"; }
    std::string operator()(Protocol p) const { return "meta l4proto " + protocol_name(p.number); }
    std::string operator()(DestinationPort p) const {
        return protocol_name(p.protocol) + " dport " + std::to_string(p.port);
    }
    std::string operator()(Limit l) const {
        return "limit rate " + std::to_string(l.per_second) + "/second burst " + std::to_string(l.burst) + " packets";
    }
    std::string operator()(const Log& log) const {
        return "log prefix \"" + log.prefix + "\" group " + std::to_string(log.group) + " snaplen " +
               std::to_string(kLogSnapLength);
    }
    std::string operator()(Redirect r) const { return "redirect to :" + std::to_string(r.port); }
    std::string operator()(Reject r) const {
        return r == Reject::tcp_reset ? "reject with tcp reset" : "reject with icmpx admin-prohibited";
    }
    std::string operator()(Accept) const { return "accept"; }
};

std::string to_string(const Chain& chain) {
    static constexpr const char* kHooks[] = {"input", "forward", "output"};
    std::string text = "  chain " + chain.name + " {\n    type ";
    text += chain.type == ChainType::nat ? "nat" : "filter";
    text += std::string(" hook ") + kHooks[static_cast<int>(chain.hook)];
    text += " priority " + std::to_string(chain.priority);
    text += chain.policy == Policy::drop ? "; policy drop;\n" : "; policy accept;\n";
    for (const auto& rule : chain.rules) text += "    " + to_string(rule) + "\n";
    return text + "  }\n";
}

}  // namespace

// Nothing comes in or passes through yet, having no interface to do so: the chains input and forward are for one that
// shows up later (docker network connect), and for frames that a packet socket injects into lo to be forwarded.
Ruleset sealed_ruleset(const InterceptPlan& plan) {
    return {"sallyport",
            {output_chain(plan),
             {"input", ChainType::filter, Hook::input, 0, Policy::drop, {{FromLoopback{}, Accept{}}}},
             {"forward", ChainType::filter, Hook::forward, 0, Policy::drop, {}},
             divert_chain(plan)}};
}

std::string to_string(const Rule& rule) {
    std::string text;
    for (const auto& statement : rule) {
        if (!text.empty()) text += ' ';
        text += std::visit(Printer{}, statement);
    }
    return text;
}

std::string to_string(const Ruleset& ruleset) {
    std::string text = "table inet " + ruleset.table + " {\n";
    for (const auto& chain : ruleset.chains) text += to_string(chain);
    return text + "}\n";
}

}  // namespace sallyport::netfilter
