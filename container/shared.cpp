#include "container/shared.hpp"

#include <cap-ng.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>

#include "container/links.hpp"
#include "container/listeners.hpp"
#include "container/own_cgroup.hpp"
#include "gateway/base/startup_error.hpp"
#include "gateway/base/unique_fd.hpp"
#include "netfilter/apply.hpp"
#include "netfilter/packet_log.hpp"
#include "netfilter/shared_ruleset.hpp"

namespace sallyport::container {
namespace {

constexpr std::size_t kMostPublished = 32;  // the kernel's acknowledgement of every rule has to fit into one buffer

std::uint32_t random_mark() {
    std::uint32_t mark = 0;
    while (mark == 0) {
        if (::getrandom(&mark, sizeof mark, 0) != sizeof mark) throw system_error("no random number", errno);
        mark &= 0x7fffffff;
    }
    return mark;
}

netfilter::SharedPlan plan_for_nobody() {
    netfilter::SharedPlan plan;
    plan.intercept = {
        .proxy_port = kInterceptPort, .dns_port = kDnsPort, .log_group = kLogGroup, .ipv6 = namespace_has_ipv6()};
    for (auto& uplink : uplinks()) plan.uplinks.push_back(std::move(uplink.name));
    plan.mark = random_mark();
    return plan;
}

std::vector<netfilter::Statement> matches_of(const Exemption& exempt) {
    const auto* user = std::get_if<ExemptUser>(&exempt);
    if (!user) return netfilter::of_cgroup(own_cgroup_id());
    if (user->uid == 0)
        throw StartupError(
            "the gateway cannot be told apart by user 0, who the sandbox may be; give it a user of its own");
    return {netfilter::OwnerUser{user->uid}};
}

/// A kernel may count cgroup levels as none of ours does. Docker's resolver is an address that the rules give to nobody
/// else: the datagram goes to a port where nobody listens, and a refusal is send(2)'s own error.
void require_that_own_packets_pass() {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);  // discard
    to.sin_addr.s_addr = htonl(0x7f00000b);
    if (::sendto(fd.get(), "", 0, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
        throw system_error(
            "the rules do not tell the gateway's packets by its cgroup; use a user of its own "
            "(--exempt user)",
            errno);
}

/// The best that can be had: where the kernel has no egress hook, at least all of IP.
void let_nobody_out(netfilter::SharedPlan plan) {
    plan.gateway.clear();
    plan.published.clear();
    auto rules = netfilter::shared_ruleset(plan);
    try {
        netfilter::apply(rules);
    } catch (const StartupError&) {
        rules.pop_back();
        netfilter::apply(rules);
    }
}

bool can_administer_network() {
    return capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN);
}

}  // namespace

void guard_shared_namespace(const SharedSpec& spec) {
    auto plan = plan_for_nobody();
    try {
        if (spec.published.size() > kMostPublished)
            throw StartupError("more than " + std::to_string(kMostPublished) + " published ports");
        plan.gateway = matches_of(spec.exempt);
        plan.published = spec.published;
        netfilter::apply(netfilter::shared_ruleset(plan));
        if (std::holds_alternative<ExemptCgroup>(spec.exempt)) require_that_own_packets_pass();
    } catch (const StartupError& error) {
        const StartupError reason(error);
        try {
            let_nobody_out(plan);
        } catch (const StartupError&) {  // the first reason is the better one
        }
        throw reason;
    }
}

void unguard_shared_namespace() { netfilter::remove(netfilter::shared_ruleset({})); }

GatewaySockets open_shared_sockets() {
    GatewaySockets sockets;
    open_listeners(sockets, {.tcp = kInterceptPort, .dns = kDnsPort});
    if (can_administer_network()) sockets.packet_log = netfilter::open_packet_log(kLogGroup);
    return sockets;
}

}  // namespace sallyport::container
