#include "netfilter/ruleset.hpp"

#include <netinet/in.h>

#include <utility>

namespace sallyport::netfilter {
namespace {

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

std::string dotted(const std::array<std::uint8_t, 4>& address) {
    std::string text;
    for (const auto byte : address) text += (text.empty() ? "" : ".") + std::to_string(byte);
    return text;
}

const char* name(Is match) {
    switch (match) {
        case Is::ipv6:
            return "meta nfproto ipv6";
        case Is::arp:
            return "meta protocol arp";
        case Is::from_loopback:
            return "iif \"lo\"";
        case Is::to_loopback:
            return "oif \"lo\"";
        case Is::local_destination:
            return "fib daddr type local";
        case Is::foreign_destination:
            return "fib daddr type != local";
        case Is::foreign_source:
            return "fib saddr type != local";
        case Is::redirected:
            return "ct status dnat";
        case Is::not_redirected:
            return "ct status & dnat == 0";
        case Is::original:
            return "ct direction original";
        case Is::reply:
            return "ct direction reply";
        case Is::fresh:
            return "ct state new";
        case Is::established:
            return "ct state established";
        case Is::related:
            return "ct state related";
        case Is::opening_tcp:
            return "tcp flags & (fin | syn | rst | ack) == syn";
        case Is::tcp_reset:
            return "tcp flags & rst == rst";
        case Is::owned:
            return "meta skuid != 4294967295";
    }
    return "";
}

struct Printer {
    std::string operator()(Is match) const { return name(match); }
    std::string operator()(Protocol p) const { return "meta l4proto " + protocol_name(p.number); }
    std::string operator()(DestinationPort p) const {
        return protocol_name(p.protocol) + " dport " + std::to_string(p.port);
    }
    std::string operator()(SourcePort p) const {
        return protocol_name(p.protocol) + " sport " + std::to_string(p.port);
    }
    std::string operator()(DestinationIpv4 d) const { return "ip daddr " + dotted(d.address); }
    std::string operator()(SourceIpv4 s) const { return "ip saddr " + dotted(s.address); }
    std::string operator()(NeighbourDiscovery n) const {
        return "icmpv6 type " + std::to_string(n.type) + " ip6 hoplimit 255";
    }
    std::string operator()(OwnerUser owner) const { return "meta skuid " + std::to_string(owner.uid); }
    std::string operator()(OwnerCgroup owner) const {
        return "socket cgroupv2 level " + std::to_string(owner.level) + " " + std::to_string(owner.id);
    }
    std::string operator()(Mark mark) const { return "meta mark " + std::to_string(mark.value); }
    std::string operator()(ConnectionMark mark) const { return "ct mark " + std::to_string(mark.value); }
    std::string operator()(Limit l) const {
        return "limit rate " + std::to_string(l.per_second) + "/second burst " + std::to_string(l.burst) + " packets";
    }
    std::string operator()(const Log& log) const {
        return "log prefix \"" + log.prefix + "\" group " + std::to_string(log.group) + " snaplen " +
               std::to_string(kLogSnapLength);
    }
    std::string operator()(SetMark mark) const { return "meta mark set " + std::to_string(mark.value); }
    std::string operator()(SetConnectionMark mark) const { return "ct mark set " + std::to_string(mark.value); }
    std::string operator()(Redirect r) const { return "redirect to :" + std::to_string(r.port); }
    std::string operator()(const Goto& to) const { return "goto " + to.chain; }
    std::string operator()(Reject r) const {
        return r == Reject::tcp_reset ? "reject with tcp reset" : "reject with icmpx admin-prohibited";
    }
    std::string operator()(Verdict v) const { return v == Verdict::accept ? "accept" : "drop"; }
};

std::string to_string(const Base& base) {
    static constexpr const char* kHooks[] = {"prerouting", "input", "forward", "output", "postrouting", "egress"};
    std::string text = base.type == ChainType::nat ? "type nat" : "type filter";
    text += std::string(" hook ") + kHooks[static_cast<int>(base.hook)];
    if (!base.devices.empty()) {
        text += " devices = {";
        for (const auto& device : base.devices) text += (text.back() == '{' ? " \"" : ", \"") + device + "\"";
        text += " }";
    }
    text += " priority " + std::to_string(base.priority);
    return text + (base.policy == Policy::drop ? "; policy drop;" : "; policy accept;");
}

std::string to_string(const Chain& chain) {
    std::string text = "  chain " + chain.name + " {\n";
    if (chain.base) text += "    " + to_string(*chain.base) + "\n";
    for (const auto& rule : chain.rules) text += "    " + to_string(rule) + "\n";
    return text + "  }\n";
}

}  // namespace

std::string to_string(const Rule& rule) {
    std::string text;
    for (const auto& statement : rule) {
        if (!text.empty()) text += ' ';
        text += std::visit(Printer{}, statement);
    }
    return text;
}

std::string to_string(const Table& table) {
    std::string text =
        std::string("table ") + (table.family == Family::inet ? "inet " : "netdev ") + table.name + " {\n";
    for (const auto& chain : table.chains) text += to_string(chain);
    return text + "}\n";
}

std::string to_string(const Ruleset& ruleset) {
    std::string text;
    for (const auto& table : ruleset) text += to_string(table);
    return text;
}

}  // namespace sallyport::netfilter
