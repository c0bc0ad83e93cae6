// TCP and UDP to every kind of address and port: what is tried, what the recorder saw without sallyport, and that it
// saw nothing with it, in each form.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "gateway/base/endpoint.hpp"
#include "tests/support/attack_tools.hpp"
#include "tests/support/doorway_ground.hpp"
#include "tests/support/escape_ground.hpp"
#include "tests/support/guarded_run.hpp"
#include "tests/support/shared_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

using Strings = std::vector<std::string>;

struct Kind {
    const char* what;
    const char* address;
    bool leaves = true;  ///< where nothing stands in the way
};

constexpr Kind kAddresses[] = {
    {"public", "93.184.216.34"},
    {"public, of IPv6", "2606:2800:220:1::1"},
    {"mapped", "::ffff:93.184.216.35"},
    {"compatible", "::93.184.216.34"},
    {"translated (NAT64)", "64:ff9b::5db8:d822"},
    {"6to4", "2002:5db8:d822::1"},
    {"Teredo", "2001:0:5db8:d822::1"},
    {"private 10/8", "10.1.2.3"},
    {"private 172.16/12", "172.17.0.1"},
    {"private 192.168/16", "192.168.1.1"},
    {"unique local", "fd00::1"},
    {"site-local", "fec0::1"},
    {"carrier's", "100.64.0.1"},
    {"link-local", "169.254.1.1"},
    {"cloud metadata", "169.254.169.254"},
    {"cloud metadata, of IPv6", "fd00:ec2::254"},
    {"virtual: the pool's first and beyond", "198.18.0.1"},
    {"virtual: the pool's last", "198.19.255.255"},
    {"a name server", "8.8.8.8"},
    {"a name server, of IPv6", "2001:4860:4860::8888"},
    {"benchmark", "2001:2::1"},
    {"for documentation", "192.0.2.1"},
    {"for documentation, of IPv6", "2001:db8:1234::1"},
    {"reserved 240/4", "240.0.0.1"},
    {"on the wire", "203.0.113.53"},
    {"on the wire, of IPv6", "2001:db8::53"},
    {"multicast", "224.0.0.251", false},
    {"multicast of IPv6", "ff0e::1", false},
    {"broadcast", "255.255.255.255", false},
    {"this network", "0.0.0.1", false},
    {"unspecified", "0.0.0.0", false},
    {"unspecified, of IPv6", "::", false},
    {"loopback", "127.9.8.7", false},
    {"loopback of IPv6", "::1", false},
    {"loopback, mapped", "::ffff:127.0.0.1", false},
    {"Docker's resolver", "127.0.0.11", false},
};

/// Among them 15001, 15053 and 15080, which are the gateway's own, and the ends of the range.
constexpr std::uint16_t kPorts[] = {1,   7,    22,    25,    53,    80,    123,   443,  445,  465,
                                    587, 853,  993,   2375,  3128,  5353,  5432,  6443, 8080, 8443,
                                    9,   9418, 15001, 15053, 15080, 32768, 49152, 65535};

void send_to(int type, const std::string& address, std::uint16_t port) {
    if (address.find(':') == address.npos) {
        const auto to = address4(address.c_str(), port);
        type == SOCK_STREAM ? connect_from(0, to) : send_from(type, 0, to, "escape");
    } else {
        const auto to = address6(address.c_str(), port);
        type == SOCK_STREAM ? connect_from(0, to) : send_from(type, 0, to, "escape");
    }
}

/// As the recorder calls them. A mapped address is one of IPv4 on the wire.
std::string name_of(int type, const std::string& address, std::uint16_t port) {
    const std::string mapped = "::ffff:";
    const auto plain = address.starts_with(mapped) ? address.substr(mapped.size()) : address;
    return (type == SOCK_STREAM ? "tcp " : "udp ") + Endpoint{IpAddress::parse(plain).value(), port}.to_string();
}

void check_all_left(Outside& outside) {
    const auto all = outside.recorded().destinations();
    const auto left = [&](const std::string& name) { return std::find(all.begin(), all.end(), name) != all.end(); };
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        for (const auto& kind : kAddresses) {
            CAPTURE(kind.what);
            if (kind.leaves) CHECK(left(name_of(type, kind.address, 443)));
        }
        for (const auto port : kPorts) {
            CAPTURE(port);
            CHECK(left(name_of(type, "93.184.216.34", port)));
            CHECK(left(name_of(type, "2606:2800:220:1::1", port)));
        }
    }
}

}  // namespace

TEST_CASE("attack: places" * doctest::skip()) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        for (const auto& kind : kAddresses)
            for (const int port : {443, 53, 80, 9}) send_to(type, kind.address, static_cast<std::uint16_t>(port));
        for (const auto port : kPorts) {
            send_to(type, "93.184.216.34", port);
            send_to(type, "2606:2800:220:1::1", port);
        }
    }
    std::printf("done\n");
}

TEST_CASE("escape: no address and no port is reached, of any kind, from sallyport run") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        CHECK(ground.under_sallyport(EscapeGround::attack("places"))->finish() == "done\n");
        CHECK(ground.outside->recorded().destinations() == Strings());
        ground.without_sallyport(EscapeGround::attack("places"))->finish();
        check_all_left(*ground.outside);
    }
}

TEST_CASE("escape: no address and no port is reached, of any kind, from a doorway's namespace") {
    const DoorwayGround ground;
    if (!ground.outside) return;
    const auto network = ground.new_network();
    const auto doorway = ground.doorway(network.get());
    const auto gateway = ground.gateway();
    REQUIRE(line_with(*gateway, "serving the sandbox") != "");
    CHECK(ground.attack(network.get(), "places", NetRaw::kept)->finish() == "done\n");
    CHECK(ground.outside->recorded().destinations() == Strings());
}

TEST_CASE("shared escape: no address and no port is reached, of any kind") {
    for (const auto how : {ToldApartBy::cgroup, ToldApartBy::user}) {
        const auto ground = SharedGround::create(how);
        if (!ground) return;
        REQUIRE(ground->guard({3000}) == "");
        ground->outside->recorded();
        CHECK(ground->attack("places", NetRaw::dropped)->finish() == "done\n");
        CHECK(ground->attack("names", NetRaw::dropped)->finish() == "");
        CHECK(ground->outside->recorded().destinations() == Strings());
    }
}
