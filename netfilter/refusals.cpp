#include "netfilter/refusals.hpp"

#include <netinet/in.h>

#include <string>
#include <utility>

namespace sallyport::netfilter {
namespace {

constexpr Limit kLogLimit{.per_second = 10, .burst = 20};

}  // namespace

void refuse(std::vector<Rule>& rules, std::string_view what, const Rule& matches, std::uint16_t group,
            Statement answer) {
    Rule log = matches;
    log.insert(log.end(), {kLogLimit, Log{std::string(what), group}});
    rules.push_back(std::move(log));
    Rule reject = matches;
    reject.push_back(std::move(answer));
    rules.push_back(std::move(reject));
}

void refuse_all(std::vector<Rule>& rules, std::uint16_t group) {
    refuse(rules, "tcp", {Protocol{IPPROTO_TCP}}, group, Reject::tcp_reset);
    refuse(rules, "quic", {DestinationPort{IPPROTO_UDP, 443}}, group, Reject::admin_prohibited);
    refuse(rules, "udp", {Protocol{IPPROTO_UDP}}, group, Reject::admin_prohibited);
    refuse(rules, "icmp", {Protocol{IPPROTO_ICMP}}, group, Reject::admin_prohibited);
    refuse(rules, "icmp", {Protocol{IPPROTO_ICMPV6}}, group, Reject::admin_prohibited);
    refuse(rules, "other", {}, group, Reject::admin_prohibited);
}

}  // namespace sallyport::netfilter
