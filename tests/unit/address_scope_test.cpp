#include "gateway/net/address_scope.hpp"

#include <doctest/doctest.h>

using namespace sallyport;
using net::private_reason;

namespace {

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

}  // namespace

TEST_CASE("address scope: the first and last address of every refused network, and their neighbours") {
    const struct {
        const char *before, *first, *last, *after;  // null: the neighbour is refused for another reason
    } networks[] = {
        {nullptr, "0.0.0.0", "0.255.255.255", "1.0.0.0"},
        {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
        {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
        {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
        {"168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"},
        {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
        {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
        {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
        {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
        {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
        {"223.255.255.255", "224.0.0.0", "255.255.255.255", nullptr},
        {nullptr, "::", "::1", nullptr},
        {nullptr, "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", nullptr},
        {nullptr, "100::", "100::ffff:ffff:ffff:ffff", nullptr},
        {nullptr, "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"},
        {"2001:ffff::", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"},
        {"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "4000::", nullptr},
        {nullptr, "5f00::", "5f00:ffff::1", nullptr},
        {nullptr, "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nullptr},
        {nullptr, "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nullptr},
        {nullptr, "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nullptr},
        {nullptr, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nullptr},
    };
    for (const auto& network : networks) {
        CAPTURE(network.first);
        CHECK(private_reason(ip(network.first)).has_value());
        CHECK(private_reason(ip(network.last)).has_value());
        if (network.before) CHECK_FALSE(private_reason(ip(network.before)).has_value());
        if (network.after) CHECK_FALSE(private_reason(ip(network.after)).has_value());
    }
}

TEST_CASE("address scope: public and documentation addresses pass") {
    for (const char* text : {"1.1.1.1", "93.184.216.34", "192.0.2.1", "198.51.100.1", "203.0.113.1", "2606:4700::1111",
                             "2001:db8::1", "2001:4860:4860::8888", "2a00::1", "64:ff9b::101:101"}) {
        CAPTURE(text);
        CHECK_FALSE(private_reason(ip(text)).has_value());
    }
}

TEST_CASE("address scope: an address in disguise is judged as what it is") {
    CHECK(private_reason(ip("::ffff:127.0.0.1")) == "a loopback address");
    CHECK(private_reason(ip("::ffff:169.254.169.254")) == "a link-local address (cloud metadata)");
    CHECK_FALSE(private_reason(ip("::ffff:1.1.1.1")).has_value());
    CHECK(private_reason(ip("::127.0.0.1")).has_value());  // v4-compatible
    CHECK(private_reason(ip("::8.8.8.8")).has_value());
    CHECK(private_reason(ip("64:ff9b::10.0.0.1")) == "a private address");
    CHECK(private_reason(ip("64:ff9b::169.254.169.254")) == "a link-local address (cloud metadata)");
    CHECK(private_reason(ip("64:ff9b::1:10.0.0.1")).has_value());  // not the /96 that RFC 6052 gives meaning to
    CHECK(private_reason(ip("2002:7f00:1::")) == "a 6to4 tunnel address");
    CHECK(private_reason(ip("2001:0:4136:e378::1")) == "a Teredo tunnel address");
    CHECK(private_reason(ip("fd00:ec2::254")) == "a private address");  // metadata service, IPv6
}

TEST_CASE("address scope: the machine's own addresses are refused, behind NAT64 too, their neighbours are not") {
    const net::AddressSet own{ip("203.0.113.9"), ip("2001:db8::9")};
    CHECK(private_reason(ip("203.0.113.9"), own) == "an address of the gateway itself");
    CHECK(private_reason(ip("2001:db8::9"), own) == "an address of the gateway itself");
    CHECK(private_reason(ip("64:ff9b::203.0.113.9"), own) == "an address of the gateway itself");
    CHECK_FALSE(private_reason(ip("203.0.113.10"), own).has_value());
    CHECK_FALSE(private_reason(ip("203.0.113.9")).has_value());
}

TEST_CASE("address scope: local networks are those an organisation numbers itself, never metadata or ourselves") {
    const net::AddressSet own{ip("10.0.0.5")};
    for (const char* address : {"10.0.0.6", "172.17.0.1", "192.168.1.1"})
        CHECK(net::is_local_network(ip(address), own));
    for (const char* address :
         {"10.0.0.5", "127.0.0.1", "169.254.169.254", "100.100.100.200", "168.63.129.16", "198.18.0.1", "0.0.0.0",
          "::1", "fd00:ec2::254", "fe80::1", "64:ff9b::10.0.0.6", "1.1.1.1"})
        CHECK_FALSE_MESSAGE(net::is_local_network(ip(address), own), address);
}

TEST_CASE("address scope: the machine knows its loopback address") {
    const auto own = net::own_addresses();
    REQUIRE(own.has_value());
    CHECK(own->contains(ip("127.0.0.1")));
}
