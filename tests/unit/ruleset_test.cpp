#include "netfilter/sealed_ruleset.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>

#include <algorithm>

#include "netfilter/nft_encode.hpp"

using namespace sallyport::netfilter;

namespace {

constexpr InterceptPlan kPlan{.proxy_port = 15001, .dns_port = 15053, .log_group = 7, .ipv6 = true};

constexpr const char* kSealed = R"(table inet sallyport {
  chain output {
    type filter hook output priority 0; policy drop;
    tcp dport 15001 ct status & dnat == 0 limit rate 10/second burst 20 packets log prefix "direct" group 7 snaplen 128
    tcp dport 15001 ct status & dnat == 0 reject with tcp reset
    fib daddr type local accept
    meta l4proto tcp limit rate 10/second burst 20 packets log prefix "tcp" group 7 snaplen 128
    meta l4proto tcp reject with tcp reset
    udp dport 443 limit rate 10/second burst 20 packets log prefix "quic" group 7 snaplen 128
    udp dport 443 reject with icmpx admin-prohibited
    meta l4proto udp limit rate 10/second burst 20 packets log prefix "udp" group 7 snaplen 128
    meta l4proto udp reject with icmpx admin-prohibited
    meta l4proto icmp limit rate 10/second burst 20 packets log prefix "icmp" group 7 snaplen 128
    meta l4proto icmp reject with icmpx admin-prohibited
    meta l4proto ipv6-icmp limit rate 10/second burst 20 packets log prefix "icmp" group 7 snaplen 128
    meta l4proto ipv6-icmp reject with icmpx admin-prohibited
    limit rate 10/second burst 20 packets log prefix "other" group 7 snaplen 128
    reject with icmpx admin-prohibited
  }
  chain input {
    type filter hook input priority 0; policy drop;
    iif "lo" accept
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
  }
  chain divert {
    type nat hook output priority -105; policy accept;
    tcp dport 53 redirect to :15053
    udp dport 53 redirect to :15053
    fib daddr type local accept
    meta l4proto tcp redirect to :15001
  }
}
)";

Chain chain(const Ruleset& rules, const std::string& name) {
    const auto found =
        std::find_if(rules[0].chains.begin(), rules[0].chains.end(), [&](const auto& c) { return c.name == name; });
    REQUIRE(found != rules[0].chains.end());
    return *found;
}

std::ptrdiff_t position(const Chain& chain, const Rule& rule) {
    const auto found = std::find(chain.rules.begin(), chain.rules.end(), rule);
    REQUIRE(found != chain.rules.end());
    return found - chain.rules.begin();
}

}  // namespace

TEST_CASE("sealed rules: the whole text") { CHECK(to_string(sealed_ruleset(kPlan)) == kSealed); }

TEST_CASE("sealed rules: port 53 is redirected before local addresses are left alone, all other TCP after") {
    const auto rules = sealed_ruleset(kPlan);
    const auto divert = chain(rules, "divert");
    const auto local = position(divert, {Is::local_destination, Verdict::accept});
    CHECK(position(divert, {DestinationPort{IPPROTO_UDP, 53}, Redirect{15053}}) < local);
    CHECK(position(divert, {DestinationPort{IPPROTO_TCP, 53}, Redirect{15053}}) < local);
    CHECK(position(divert, {Protocol{IPPROTO_TCP}, Redirect{15001}}) > local);
}

TEST_CASE("sealed rules: every filter chain drops by default, and the one for output ends with a reject") {
    const auto rules = sealed_ruleset(kPlan);
    for (const auto& c : rules[0].chains)
        if (c.base->type == ChainType::filter) CHECK(c.base->policy == Policy::drop);
    CHECK(chain(rules, "output").rules.back() == Rule{Reject::admin_prohibited});
}

TEST_CASE("sealed rules: only a local destination is accepted on the way out") {
    for (const auto& rule : chain(sealed_ruleset(kPlan), "output").rules)
        if (rule.back() == Statement{Verdict::accept}) CHECK(rule == Rule{Is::local_destination, Verdict::accept});
}

TEST_CASE("sealed rules: without IPv6, it is not redirected to where nobody listens, and nothing else changes") {
    auto plan = kPlan;
    plan.ipv6 = false;
    const auto without = sealed_ruleset(plan);
    auto with = sealed_ruleset(kPlan);
    CHECK(chain(without, "divert").rules.front() == Rule{Is::ipv6, Verdict::accept});
    CHECK(chain(without, "output") == chain(with, "output"));
    CHECK(without != with);
}

TEST_CASE("encoding: one step for each message, framed, the table replaced before anything is added to it") {
    const auto rules = sealed_ruleset(kPlan);
    const auto batch = encode_replace(rules);
    std::size_t expected = 2 + 3;
    for (const auto& c : rules[0].chains) expected += 1 + c.rules.size();
    REQUIRE(batch.steps.size() == expected);
    CHECK(batch.steps[1] == "add table sallyport");
    CHECK(batch.steps[2] == "delete table sallyport");
    CHECK(batch.steps[3] == "add table sallyport");
    CHECK(batch.steps[4] == "chain output");
    CHECK(batch.steps[7] == "chain divert");
    CHECK(batch.steps[10] == "rule \"fib daddr type local accept\" of chain output");
    CHECK(batch.bytes.size() % 4 == 0);
    CHECK(encode_replace(rules).bytes == batch.bytes);
}
