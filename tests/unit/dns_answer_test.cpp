#include "gateway/dns/answer.hpp"

#include <doctest/doctest.h>

#include "gateway/dns/denied_names.hpp"
#include "gateway/wire/dns_message.hpp"

using namespace sallyport;
using dns::Transport;

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint16_t kTxt = 16, kMx = 15, kSrv = 33, kSvcb = 64, kHttps = 65;

policy::Policy make_policy(std::initializer_list<const char*> hosts) {
    policy::Rule rule;
    std::string error;
    for (const auto* host : hosts) rule.hosts.push_back(policy::HostPattern::parse(host, error).value());
    return policy::Policy({rule}, {}, {});
}

Bytes query(std::string_view name, std::uint16_t type, std::uint16_t dns_class = 1, bool edns = true) {
    Bytes message{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(edns)};
    const auto wire_name = wire::encode_dns_name(name);
    message.insert(message.end(), wire_name.begin(), wire_name.end());
    for (const unsigned value : {type >> 8, type & 255, dns_class >> 8, dns_class & 255})
        message.push_back(static_cast<std::uint8_t>(value));
    if (edns) message.insert(message.end(), {0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0});
    return message;
}

struct Fixture {
    policy::Policy policy = make_policy({"api.example.com", "*.wild.example"});
    dns::VirtualAddresses addresses;

    dns::Answer ask(std::string_view name, std::uint16_t type) {
        return dns::answer(policy, addresses, query(name, type), Transport::udp);
    }
};

unsigned rcode(const dns::Answer& answer) { return answer.message.at(3) & 0xf; }
unsigned records(const dns::Answer& answer) { return answer.message.at(7); }
unsigned soas(const dns::Answer& answer) { return answer.message.at(9); }
bool no_data(const dns::Answer& answer) { return rcode(answer) == 0 && records(answer) == 0 && soas(answer) == 1; }
bool no_such_name(const dns::Answer& answer) { return rcode(answer) == 3 && records(answer) == 0 && soas(answer) == 1; }
bool holds(const dns::Answer& answer, std::string_view text) {
    return std::string(answer.message.begin(), answer.message.end()).find(text) != std::string::npos;
}

/// The address in an answer whose last record before OPT it is.
IpAddress address(const dns::Answer& answer) {
    const auto end = answer.message.size() - 11;
    return IpAddress::v4(
        {answer.message[end - 4], answer.message[end - 3], answer.message[end - 2], answer.message[end - 1]});
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "dns: an allowed name gets its virtual address, in any letter case") {
    const auto answer = ask("API.example.com", wire::kDnsA);
    CHECK(rcode(answer) == 0);
    CHECK(records(answer) == 1);
    CHECK_FALSE(answer.denied);
    CHECK(holds(answer, std::string_view("\3API\7example\3com")));
    CHECK(addresses.name_of(address(answer)) == "api.example.com");
    CHECK(address(ask("api.EXAMPLE.com", wire::kDnsA)) == address(answer));
    CHECK(records(ask("deep.down.wild.example", wire::kDnsA)) == 1);
}

TEST_CASE_FIXTURE(Fixture, "dns: an allowed name has no other records") {
    for (const auto type : {std::uint16_t(wire::kDnsAaaa), kTxt, kMx, kSvcb, kHttps, std::uint16_t(255)}) {
        const auto answer = ask("api.example.com", type);
        CHECK(no_data(answer));
        CHECK_FALSE(answer.denied);
    }
    CHECK(no_data(ask("_x._tcp.wild.example", kSrv)));
    CHECK(no_such_name(ask("_x._tcp.api.example.com", kSrv)));
}

TEST_CASE_FIXTURE(Fixture,
                  "dns deny: a name that no rule allows does not exist, takes no address, and the reason is told") {
    const auto answer = ask("Evil.example", wire::kDnsA);
    CHECK(no_such_name(answer));
    CHECK(holds(answer, "no rule allows evil.example"));
    REQUIRE(answer.denied);
    CHECK(answer.denied->name == "evil.example");
    CHECK(answer.denied->type == 1);
    CHECK(answer.denied->why == "no rule allows evil.example");
    CHECK_FALSE(addresses.name_of(dns::VirtualAddresses().address_of("evil.example").value()));
    CHECK(no_such_name(ask("sub.api.example.com", wire::kDnsA)));
    CHECK(no_such_name(ask("aapi.example.com", kTxt)));
}

TEST_CASE_FIXTURE(Fixture, "dns deny: a name above an allowed one has no address, but exists") {
    for (const auto* name : {"wild.example", "example"}) {
        const auto answer = ask(name, wire::kDnsA);
        CHECK(no_data(answer));
        CHECK(answer.denied);
    }
    CHECK(no_data(ask("", 2)));
}

TEST_CASE_FIXTURE(Fixture, "dns deny: addresses, odd bytes and look-alikes are no names") {
    CHECK(no_such_name(ask("1.2.3.4", wire::kDnsA)));
    CHECK(no_such_name(ask("198.18.1.1", wire::kDnsA)));
    CHECK(no_such_name(ask("a b.wild.example", wire::kDnsA)));
    Bytes dotted{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 15};
    for (const char c : std::string_view("api.example.com")) dotted.push_back(static_cast<std::uint8_t>(c));
    dotted.insert(dotted.end(), {0, 0, 1, 0, 1});
    const auto answer = dns::answer(policy, addresses, dotted, Transport::udp);
    CHECK(no_such_name(answer));
    REQUIRE(answer.denied);
    CHECK(answer.denied->name == "api\\046example\\046com");
}

TEST_CASE_FIXTURE(Fixture, "dns: localhost is loopback, and nothing else is") {
    CHECK(address(ask("localhost", wire::kDnsA)) == IpAddress::v4({127, 0, 0, 1}));
    CHECK(address(ask("x.LOCALHOST", wire::kDnsA)) == IpAddress::v4({127, 0, 0, 1}));
    const auto v6 = ask("localhost", wire::kDnsAaaa);
    CHECK(records(v6) == 1);
    CHECK(v6.message[v6.message.size() - 12] == 1);
    CHECK(no_data(ask("localhost", kMx)));
    CHECK(no_such_name(ask("notlocalhost", wire::kDnsA)));
}

TEST_CASE_FIXTURE(Fixture, "dns: PTR of a virtual address names it; of any other address, nothing") {
    const auto virtual_address = addresses.address_of("api.example.com").value();
    const auto& b = virtual_address.bytes();
    const auto reversed = std::to_string(b[3]) + "." + std::to_string(b[2]) + ".18.198.in-addr.arpa";
    if (b[1] == 18) {
        const auto answer = ask(reversed, wire::kDnsPtr);
        CHECK(records(answer) == 1);
        CHECK(holds(answer, std::string_view("\3api\7example\3com\0", 17)));
        CHECK(no_data(ask(reversed, wire::kDnsA)));
    }
    CHECK(b[1] == 18);
    CHECK(no_such_name(ask("8.8.8.8.in-addr.arpa", wire::kDnsPtr)));
    CHECK(no_such_name(ask("200.200.18.198.in-addr.arpa", wire::kDnsPtr)));
    CHECK(no_such_name(ask("1.0.0.0.ip6.arpa", wire::kDnsPtr)));
}

TEST_CASE_FIXTURE(Fixture, "dns: other classes, EDNS versions, opcodes and broken messages") {
    const auto ask_raw = [&](const Bytes& message) { return dns::answer(policy, addresses, message, Transport::udp); };
    const auto chaos = ask_raw(query("version.bind", kTxt, 3));
    CHECK(rcode(chaos) == 5);
    CHECK(soas(chaos) == 0);
    auto future = query("api.example.com", wire::kDnsA);
    future[future.size() - 5] = 1;
    const auto bad_version = ask_raw(future);
    CHECK(records(bad_version) == 0);
    CHECK(bad_version.message[bad_version.message.size() - 6] == 1);
    auto notify = query("api.example.com", wire::kDnsA);
    notify[2] = 0x20;
    CHECK(rcode(ask_raw(notify)) == 4);
    auto cut = query("api.example.com", wire::kDnsA);
    cut.resize(20);
    CHECK(rcode(ask_raw(cut)) == 1);
    auto response = query("api.example.com", wire::kDnsA);
    response[2] = 0x80;
    CHECK(ask_raw(response).message.empty());
    CHECK(ask_raw({}).message.empty());
}

TEST_CASE("dns audit: every name gets an address, and those that no rule allows are reported as such") {
    const policy::Policy policy({}, {}, {}, {}, policy::Mode::audit);
    dns::VirtualAddresses addresses;
    const auto answer = dns::answer(policy, addresses, query("any.example", wire::kDnsA), Transport::udp);
    CHECK(rcode(answer) == 0);
    CHECK(records(answer) == 1);
    REQUIRE(answer.denied);
    CHECK(answer.denied->would_deny);
    CHECK(answer.denied->why == "no rule allows any.example");
    const auto no_name = dns::answer(policy, addresses, query("127.1", wire::kDnsA), Transport::udp);
    CHECK(no_such_name(no_name));
    CHECK_FALSE(no_name.denied->would_deny);
}

TEST_CASE("dns: when all addresses are taken, known names work on and new ones fail") {
    const auto policy = make_policy({"*.example.com"});
    dns::VirtualAddresses addresses(1);
    CHECK(records(dns::answer(policy, addresses, query("a.example.com", 1), Transport::tcp)) == 1);
    const auto full = dns::answer(policy, addresses, query("b.example.com", 1), Transport::tcp);
    CHECK(rcode(full) == 2);
    CHECK(full.denied);
    CHECK(records(dns::answer(policy, addresses, query("a.example.com", 1), Transport::tcp)) == 1);
}

TEST_CASE("dns: the answer to the longest name fits a datagram without EDNS") {
    const auto policy = make_policy({"x.example"});
    dns::VirtualAddresses addresses;
    const std::string label(61, 'a');
    const auto name = label + "." + label + "." + label + "." + label;
    CHECK(dns::answer(policy, addresses, query(name, 1, 1, false), Transport::udp).message.size() <= 512);
    const auto extended = dns::answer(policy, addresses, query(name, 1), Transport::udp);
    CHECK(extended.message.size() <= wire::kDnsUdpPayload);
    CHECK(holds(extended, "no rule allows " + name));
}

TEST_CASE("denied names: each once a period, the overflow counted and told afterwards") {
    dns::DeniedNames names;
    auto now = dns::DeniedNames::Clock::time_point{} + std::chrono::hours(1);
    const auto note = [&](const std::string& name) { return names.note({name, 1, "why"}, now); };
    CHECK(note("a.example").size() == 1);
    CHECK(note("a.example").empty());
    CHECK(note("b.example").size() == 1);
    for (int i = 0; i < 2000; ++i) note("n" + std::to_string(i));
    now += dns::DeniedNames::kPeriod;
    const auto reports = note("a.example");
    REQUIRE(reports.size() == 2);
    CHECK(reports[0].name == "(other names)");
    CHECK(reports[0].why.find("1002 ") == 0);
    CHECK(reports[1].name == "a.example");
}
