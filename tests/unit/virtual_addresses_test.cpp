#include "gateway/dns/virtual_addresses.hpp"

#include <doctest/doctest.h>

#include <set>

using sallyport::IpAddress;
using sallyport::dns::VirtualAddresses;

TEST_CASE("virtual addresses: one address a name, and back") {
    VirtualAddresses addresses;
    const auto first = addresses.address_of("api.example.com");
    REQUIRE(first);
    CHECK(addresses.address_of("api.example.com") == first);
    CHECK(addresses.address_of("www.example.com") != first);
    CHECK(addresses.name_of(*first) == "api.example.com");
}

TEST_CASE("virtual addresses: the same name has the same address after a restart") {
    VirtualAddresses before, after;
    before.address_of("a.example");
    const auto address = before.address_of("b.example");
    CHECK(after.address_of("b.example") == address);
}

TEST_CASE("virtual addresses: addresses that were not handed out name nothing") {
    VirtualAddresses addresses;
    for (const auto* text : {"198.18.0.0", "198.18.0.1", "198.18.1.0", "198.18.1.255", "198.19.255.255", "198.18.7.7",
                             "198.20.1.1", "198.17.1.1", "127.0.0.1", "::1", "::", "c612:101::"})
        CHECK_FALSE(addresses.name_of(*IpAddress::parse(text)));
    CHECK(VirtualAddresses::in_pool(*IpAddress::parse("198.19.255.255")));
    CHECK_FALSE(VirtualAddresses::in_pool(*IpAddress::parse("198.20.0.0")));
    CHECK_FALSE(VirtualAddresses::in_pool(*IpAddress::parse("c612::")));
}

TEST_CASE("virtual addresses: full to the last name, all distinct, all in the pool, none special; then no more") {
    VirtualAddresses addresses;
    std::set<IpAddress> seen;
    for (std::size_t i = 0; i < VirtualAddresses::kMaxNames; ++i) {
        const auto name = "n" + std::to_string(i) + ".example";
        const auto address = addresses.address_of(name);
        REQUIRE(address);
        const auto& bytes = address->bytes();
        REQUIRE(VirtualAddresses::in_pool(*address));
        REQUIRE(bytes[3] != 0);
        REQUIRE(bytes[3] != 255);
        REQUIRE_FALSE((bytes[1] == 18 && bytes[2] == 0));
        REQUIRE(addresses.name_of(*address) == name);
        seen.insert(*address);
    }
    CHECK(seen.size() == VirtualAddresses::kMaxNames);
    CHECK_FALSE(addresses.address_of("one.more.example"));
    CHECK(addresses.address_of("n7.example"));
}
