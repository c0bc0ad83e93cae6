#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "container/links.hpp"
#include "gateway/base/startup_error.hpp"
#include "netfilter/apply.hpp"
#include "netfilter/nft_socket.hpp"
#include "netfilter/sealed_ruleset.hpp"
#include "tests/netns/seal_clients.hpp"
#include "tests/support/netns_fixture.hpp"

using namespace sallyport;
using namespace sallyport::test;
using namespace sallyport::netfilter;

namespace {

constexpr InterceptPlan kPlan{.proxy_port = 15001, .dns_port = 15053, .log_group = 7, .ipv6 = true};

/// What nft(8) sees in this namespace.
std::string nft_list() {
    const std::unique_ptr<FILE, int (*)(FILE*)> out(::popen("nft list ruleset 2>&1", "r"), &::pclose);
    std::string text;
    std::array<char, 4096> buffer;
    while (::fgets(buffer.data(), buffer.size(), out.get())) text += buffer.data();
    // nft takes the names of protocols from /etc/protocols, which a small system lacks.
    const std::string number = "l4proto 6 ", name = "l4proto tcp ";
    for (auto at = text.find(number); at != text.npos; at = text.find(number)) text.replace(at, number.size(), name);
    return text;
}

std::size_t count(const std::string& text, const std::string& what) {
    std::size_t n = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
    return n;
}

/// The message of the exception, or nothing.
template <class F>
std::string error_of(F action) {
    try {
        action();
    } catch (const StartupError& error) {
        return error.what();
    }
    return "";
}

/// A redirect is nothing that a chain of type filter can do.
Ruleset wrong_ruleset() {
    auto rules = sealed_ruleset(kPlan);
    auto& output = rules.front().chains.front().rules;
    output.insert(output.begin() + 3, {Protocol{6}, Redirect{99}});
    return rules;
}

}  // namespace

TEST_CASE("apply: a second time replaces the table, what is loaded is what was asked for") {
    const auto namespaces = Namespaces::create();
    if (!namespaces) return;
    const auto text = namespaces->run([] {
        apply(sealed_ruleset(kPlan));
        const auto first = nft_list();
        apply(sealed_ruleset(kPlan));
        return first == nft_list() ? first : "the second apply() changed something: " + nft_list();
    });
    if (text.find("not found") != text.npos) return skip("nft(8) is not installed");
    INFO(text);
    CHECK(text.find("table inet sallyport {") == 0);
    CHECK(count(text, "table ") == 1);
    CHECK(count(text, "chain ") == 4);
    CHECK(count(text, "policy drop") == 3);
    for (const auto* rule :
         {"tcp dport 53 redirect to :15053\n\t\tudp dport 53 redirect to :15053\n\t\tfib daddr type local accept\n\t\t"
          "meta l4proto tcp redirect to :15001",
          "udp dport 443 limit rate 10/second burst 20 packets log prefix \"quic\" group 7 snaplen 128",
          "meta l4proto tcp reject with tcp reset", "reject with icmpx admin-prohibited\n\t}"})
        CHECK(count(text, rule) == 1);
}

TEST_CASE("apply: a wrong rule is named, and nothing at all is loaded") {
    const auto namespaces = Namespaces::create();
    if (!namespaces) return;
    const auto error = namespaces->run([] {
        const auto message = error_of([] { apply(wrong_ruleset()); });
        return NftSocket().has_table({Family::inet, "sallyport", {}}) ? "a table was left behind" : message;
    });
    INFO(error);
    CHECK(error.find("rule \"meta l4proto tcp redirect to :99\" of chain output") != error.npos);
    CHECK(error.find("Operation not supported") != error.npos);
}

TEST_CASE("apply: a wrong rule leaves the rules from before in force") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    CHECK(sealed->inside.run([] { return error_of([] { apply(wrong_ruleset()); }); }) != "");
    CHECK(sealed->inside.run([] { return tcp_connect("93.184.216.34", 443); }).error == 0);
    CHECK(sealed->inside.run([] { return send_packet(SOCK_DGRAM, 0, "9.9.9.9", 443, {}); }).error == EPERM);
}

TEST_CASE("a namespace without IPv6 is sealed for IPv4, and IPv6 leads nowhere") {
    const auto namespaces = Namespaces::create();
    if (!namespaces) return;
    const bool ipv6_sockets = namespaces->run([] {
        const std::unique_ptr<FILE, int (*)(FILE*)> off(::fopen("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w"),
                                                        [](FILE* f) { return f ? ::fclose(f) : 0; });
        if (off && (::fputs("1\n", off.get()) < 0 || ::fflush(off.get()) != 0)) throw StartupError("disable_ipv6");
        const auto sockets = container::seal_namespace();
        return sockets.tcp6 || sockets.dns_udp6 || sockets.dns_tcp6;
    });
    CHECK_FALSE(ipv6_sockets);
    CHECK(namespaces->run([] { return tcp_connect("2606:2800:220:1::1", 443); }).error != 0);
}

// Connects right after the routes were made: the first to do so once waited a second for its answer.
TEST_CASE("the plan without IPv6 refuses IPv6 at once, even if the namespace has addresses of it") {
    const auto namespaces = Namespaces::create();
    if (!namespaces) return;
    const auto outcome = namespaces->run([] {
        auto plan = kPlan;
        plan.ipv6 = false;
        container::raise_loopback();
        apply(sealed_ruleset(plan));
        container::route_all_to_loopback(true);
        return tcp_connect("2606:2800:220:1::1", 443);
    });
    CHECK(outcome.error == ECONNREFUSED);
    CHECK(outcome.milliseconds < 100);
}

TEST_CASE("sealing is refused in a namespace that has an interface") {
    const auto namespaces = Namespaces::create();
    if (!namespaces) return;
    const auto error = namespaces->run([] {
        if (::system("ip link add uplink0 type veth peer name far0 && ip link set uplink0 up") != 0)
            return std::string("skipped");
        return error_of([] { container::seal_namespace(); });
    });
    if (error == "skipped") return skip("cannot make a veth pair");
    CHECK(error.find("uplink0") != error.npos);
    CHECK(namespaces->run([] { return tcp_connect("93.184.216.34", 443); }).error == ENETUNREACH);
}

TEST_CASE("sealing is refused while the sockets of the first time are open, and works after that") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    const auto seal_again = [&] {
        return sealed->inside.run([] { return error_of([] { container::seal_namespace(); }); });
    };
    CHECK(seal_again().find("packet log") != std::string::npos);
    CHECK(sealed->inside.run([] { return tcp_connect("93.184.216.34", 443); }).error == 0);
    CHECK(readable(sealed->sockets.tcp4.get()));
    sealed->sockets = {};
    CHECK(seal_again() == "");
}
