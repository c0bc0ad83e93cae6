#include "netfilter/shared_ruleset.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>

#include <algorithm>

#include "netfilter/nft_encode.hpp"

using namespace sallyport::netfilter;

namespace {

SharedPlan plan_for(std::vector<Statement> gateway) {
    return {.intercept = {.proxy_port = 15001, .dns_port = 15053, .log_group = 7, .ipv6 = true},
            .gateway = std::move(gateway),
            .published = {3000},
            .uplinks = {"eth0", "eth1"},
            .mark = 1111};
}

constexpr const char* kShared = R"(table inet sallyport {
  chain arrival {
    type filter hook prerouting priority -150; policy accept;
    iif "lo" ct status dnat ct direction reply accept
    iif "lo" tcp flags & rst == rst ct direction reply ct mark 0 accept
    iif "lo" fib saddr type != local drop
    iif "lo" fib daddr type != local drop
  }
  chain divert {
    type nat hook output priority -105; policy accept;
    meta skuid 65532 accept
    tcp dport 53 redirect to :15053
    udp dport 53 redirect to :15053
    fib daddr type local accept
    meta l4proto tcp redirect to :15001
  }
  chain output {
    type filter hook output priority 0; policy drop;
    meta skuid != 4294967295 goto programs
    ct mark 26465 ct direction original meta mark set 1111 accept
    tcp sport 3000 ct state established ct direction reply meta mark set 1111 accept
    icmpv6 type 133 ip6 hoplimit 255 meta mark set 1111 accept
    icmpv6 type 135 ip6 hoplimit 255 meta mark set 1111 accept
    icmpv6 type 136 ip6 hoplimit 255 meta mark set 1111 accept
    ip daddr 127.0.0.11 drop
    fib daddr type local accept
  }
  chain programs {
    meta skuid 65532 goto gateway
    fib saddr type != local limit rate 10/second burst 20 packets log prefix "other" group 7 snaplen 128
    fib saddr type != local drop
    ip saddr 127.0.0.11 udp sport 53 limit rate 10/second burst 20 packets log prefix "direct" group 7 snaplen 128
    ip saddr 127.0.0.11 udp sport 53 drop
    ip daddr 127.0.0.11 meta l4proto tcp limit rate 10/second burst 20 packets log prefix "direct" group 7 snaplen 128
    ip daddr 127.0.0.11 meta l4proto tcp reject with tcp reset
    ip daddr 127.0.0.11 limit rate 10/second burst 20 packets log prefix "direct" group 7 snaplen 128
    ip daddr 127.0.0.11 reject with icmpx admin-prohibited
    tcp dport 15001 ct status & dnat == 0 limit rate 10/second burst 20 packets log prefix "direct" group 7 snaplen 128
    tcp dport 15001 ct status & dnat == 0 reject with tcp reset
    fib daddr type local accept
    tcp sport 3000 ct state established ct direction reply meta mark set 1111 accept
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
  chain gateway {
    ct direction original ct mark set 26465
    fib daddr type local accept
    meta mark set 1111 accept
  }
  chain input {
    type filter hook input priority 0; policy drop;
    iif "lo" accept
    ct state established accept
    ct state related accept
    icmpv6 type 134 ip6 hoplimit 255 accept
    icmpv6 type 135 ip6 hoplimit 255 accept
    icmpv6 type 136 ip6 hoplimit 255 accept
    tcp dport 3000 tcp flags & (fin | syn | rst | ack) == syn ct state new accept
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
  }
  chain departure {
    type filter hook postrouting priority 0; policy drop;
    oif "lo" accept
    meta mark 1111 accept
  }
}
table netdev sallyport {
  chain uplinks {
    type filter hook egress devices = { "eth0", "eth1" } priority 0; policy drop;
    meta protocol arp meta skuid != 4294967295 drop
    meta protocol arp accept
    meta mark 1111 meta mark set 0 accept
  }
}
)";

const Chain& chain(const Ruleset& rules, const std::string& name) {
    for (const auto& table : rules)
        for (const auto& c : table.chains)
            if (c.name == name) return c;
    FAIL("no chain " << name);
    return rules.front().chains.front();
}

bool has(const Rule& rule, const Statement& statement) {
    return std::find(rule.begin(), rule.end(), statement) != rule.end();
}

std::size_t count(const Chain& chain, const Statement& statement) {
    return static_cast<std::size_t>(
        std::count_if(chain.rules.begin(), chain.rules.end(), [&](const auto& rule) { return has(rule, statement); }));
}

}  // namespace

TEST_CASE("shared rules: the whole text, the gateway being a user") {
    CHECK(to_string(shared_ruleset(plan_for({OwnerUser{65532}}))) == kShared);
}

TEST_CASE("shared rules: the gateway being a cgroup, its id is looked for at every level, and nothing else changes") {
    auto by_user = shared_ruleset(plan_for({OwnerUser{65532}}));
    auto by_cgroup = shared_ruleset(plan_for(of_cgroup(4711)));
    for (auto& table : by_cgroup)
        for (auto& c : table.chains) {
            const auto& same = chain(by_user, c.name);
            if (c == same) continue;
            CAPTURE(c.name);
            CHECK((c.name == "divert" || c.name == "programs"));
            REQUIRE(c.rules.size() == same.rules.size() + 16);
            for (std::uint32_t level = 0; level <= 16; ++level)
                CHECK(c.rules[level] == Rule{OwnerCgroup{level, 4711}, same.rules[0][1]});
            CHECK(std::equal(c.rules.begin() + 17, c.rules.end(), same.rules.begin() + 1, same.rules.end()));
        }
    CHECK(to_string(chain(by_cgroup, "programs").rules[2]) == "socket cgroupv2 level 2 4711 goto gateway");
    CHECK(to_string(chain(by_cgroup, "divert").rules[16]) == "socket cgroupv2 level 16 4711 accept");
}

TEST_CASE("shared rules: without a gateway and published ports, no program's packet gets the mark of the uplink") {
    auto plan = plan_for({});
    plan.published.clear();
    const auto rules = shared_ruleset(plan);
    CHECK(count(chain(rules, "programs"), SetMark{1111}) == 0);
    CHECK(count(chain(rules, "programs"), Goto{"gateway"}) == 0);
    CHECK(count(chain(rules, "input"), Is::fresh) == 0);
    CHECK(count(chain(rules, "divert"), Verdict::accept) == 1);  // local destinations
    CHECK(chain(rules, "divert").rules.size() == 4);
}

TEST_CASE("shared rules: every chain that filters drops by default but the one that sees what arrives") {
    for (const auto& table : shared_ruleset(plan_for({OwnerUser{65532}})))
        for (const auto& c : table.chains)
            if (c.base && c.base->type == ChainType::filter && c.name != "arrival")
                CHECK(c.base->policy == Policy::drop);
}

TEST_CASE("shared rules: what stays in the namespace carries no mark, the gateway's neither") {
    for (const auto& table : shared_ruleset(plan_for({OwnerUser{65532}})))
        for (const auto& c : table.chains)
            for (const auto& rule : c.rules)
                if (has(rule, Is::local_destination)) CHECK_FALSE(has(rule, SetMark{1111}));
    const auto rules = shared_ruleset(plan_for({OwnerUser{65532}}));
    CHECK(chain(rules, "gateway").rules[1] == Rule{Is::local_destination, Verdict::accept});
}

TEST_CASE("shared rules: without IPv6, it is not redirected to where nobody listens, and nothing else changes") {
    auto plan = plan_for({OwnerUser{65532}});
    plan.intercept.ipv6 = false;
    const auto with = shared_ruleset(plan_for({OwnerUser{65532}}));
    const auto without = shared_ruleset(plan);
    CHECK(chain(without, "divert").rules[1] == Rule{Is::ipv6, Verdict::accept});
    CHECK(chain(without, "divert").rules.size() == chain(with, "divert").rules.size() + 1);
    CHECK(chain(without, "programs") == chain(with, "programs"));
}

TEST_CASE("shared rules: in a namespace without uplink no chain is made for none") {
    auto plan = plan_for({OwnerUser{65532}});
    plan.uplinks.clear();
    const auto rules = shared_ruleset(plan);
    REQUIRE(rules.back().family == Family::netdev);
    CHECK(rules.back().chains.empty());
}

TEST_CASE("encoding: both tables are replaced in one batch, each chain is there before a rule goes to it") {
    const auto rules = shared_ruleset(plan_for({OwnerUser{65532}}));
    const auto steps = encode_replace(rules).steps;
    const auto position = [&](const std::string& step) {
        const auto found = std::find(steps.begin(), steps.end(), step);
        CHECK_MESSAGE(found != steps.end(), step);
        return found - steps.begin();
    };
    CHECK(std::count(steps.begin(), steps.end(), "delete table sallyport") == 2);
    CHECK(position("chain programs") < position("rule \"meta skuid != 4294967295 goto programs\" of chain output"));
    CHECK(position("chain uplinks") < position("rule \"meta mark 1111 meta mark set 0 accept\" of chain uplinks"));
    CHECK(steps.back() == "end of the batch");
}
