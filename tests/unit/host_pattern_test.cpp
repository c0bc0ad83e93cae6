#include <doctest/doctest.h>

#include "gateway/policy/host_pattern.hpp"

using namespace sallyport::policy;

TEST_SUITE("host_pattern") {
    TEST_CASE("a name in any spelling has one canonical form") {
        CHECK(canonical_host("api.github.com") == "api.github.com");
        CHECK(canonical_host("API.GitHub.COM") == "api.github.com");
        CHECK(canonical_host("EXAMPLE.com.") == "example.com");
        CHECK(canonical_host("xn--bcher-kva.example") == "xn--bcher-kva.example");
        CHECK(canonical_host("_acme-challenge.example.com") == "_acme-challenge.example.com");
        CHECK(canonical_host("localhost") == "localhost");
        CHECK(canonical_host("3com.com") == "3com.com");
        CHECK(canonical_host("1.example") == "1.example");
        CHECK(canonical_host("r3---sn-4g5e6nez.example") == "r3---sn-4g5e6nez.example");
        CHECK(canonical_host("0xy.example.0xyz") == "0xy.example.0xyz");
    }

    TEST_CASE("an address in any spelling has one canonical form") {
        CHECK(canonical_host("192.0.2.1") == "192.0.2.1");
        CHECK(canonical_host("2001:DB8:0::1") == "2001:db8::1");
        CHECK(canonical_host("[2001:db8::1]") == "2001:db8::1");
        CHECK(canonical_host("::ffff:10.0.0.1") == "10.0.0.1");
        CHECK(canonical_host("[::ffff:7f00:1]") == "127.0.0.1");
    }

    TEST_CASE("what some clients would read as an address, and others as a name, is neither") {
        for (const char* text : {"127.1", "2130706433", "0x7f.1", "0x7f000001", "127.0.0.0x1", "0177.0.0.1.",
                                 "127.0.0.1.", "1.2.3.4.5", "example.1", "example.0x", "example.0xff", "010.0.0.256"})
            CHECK_MESSAGE(!canonical_host(text), text);
    }

    TEST_CASE("what is no name is refused") {
        for (const char* text : {"",
                                 ".",
                                 "..",
                                 "example..com",
                                 ".example.com",
                                 "example.com..",
                                 "-a.example",
                                 "a-.example",
                                 "exa mple.com",
                                 "example.com\n",
                                 "example.com:443",
                                 "user@example.com",
                                 "a/b",
                                 "a\\b",
                                 "b\xc3\xbc"
                                 "cher.example",
                                 "example%2ecom",
                                 "[example.com]",
                                 "[192.0.2.1]",
                                 "[2001:db8::1",
                                 "fe80::1%eth0",
                                 "*.example.com",
                                 "a,b.com"})
            CHECK_MESSAGE(!canonical_host(text), text);
        CHECK(!canonical_host(std::string_view("example.com\0.evil.com", 21)));
        CHECK(!canonical_host(std::string(64, 'a') + ".com"));
        CHECK(canonical_host(std::string(63, 'a') + ".com"));
        std::string longest;
        while (longest.size() < 252) longest += "a.";
        CHECK(canonical_host(longest + "b"));
        CHECK(!canonical_host(longest + "bc"));
    }

    TEST_CASE("patterns match what they say and nothing beside it") {
        struct {
            const char* pattern;
            const char* host;
            bool matches;
        } const cases[] = {
            {"api.example.com", "api.example.com", true},
            {"API.Example.com.", "api.example.com", true},
            {"api.example.com", "xapi.example.com", false},
            {"api.example.com", "api.example.com.evil.com", false},
            {"api.example.com", "example.com", false},
            {"*.example.com", "a.example.com", true},
            {"*.example.com", "a.b.example.com", true},
            {"*.example.com", "example.com", false},
            {"*.example.com", "evilexample.com", false},
            {"*.example.com", "example.com.evil.com", false},
            {"*.Example.COM", "a.example.com", true},
            {"192.0.2.1", "192.0.2.1", true},
            {"192.0.2.1", "192.0.2.10", false},
            {"[2001:DB8::1]", "2001:db8::1", true},
            {"10.0.0.0/8", "10.255.0.1", true},
            {"10.0.0.0/8", "11.0.0.1", false},
            {"10.0.0.0/8", "10.example.com", false},
            {"192.0.2.128/25", "192.0.2.127", false},
            {"192.0.2.128/25", "192.0.2.128", true},
            {"2001:db8::/32", "2001:db8:ffff::1", true},
            {"2001:db8::/32", "2001:db9::1", false},
            {"0.0.0.0/0", "::1", false},
            {"0.0.0.0/0", "8.8.8.8", true},
        };
        for (const auto& c : cases) {
            std::string error;
            const auto pattern = HostPattern::parse(c.pattern, error);
            REQUIRE_MESSAGE(pattern, c.pattern);
            CHECK_MESSAGE(pattern->matches(c.host) == c.matches, c.pattern, " ", c.host);
        }
    }

    TEST_CASE("what is no pattern says what was expected") {
        struct {
            const char* pattern;
            const char* says;
        } const cases[] = {
            {"*", "whole Internet"},
            {"*example.com", "only at the start"},
            {"api.*.com", "only at the start"},
            {"*.*.com", "only at the start"},
            {"https://example.com/", "not a URL"},
            {"b\xc3\xbc"
             "cher.example",
             "xn--"},
            {"", "expected a host name"},
            {"10.0.0.0/33", "expected a host name"},
            {"10.0.0.0/", "expected a host name"},
            {"10.0.0.0/-1", "expected a host name"},
            {"10.0.0.0/8x", "expected a host name"},
            {"::ffff:10.0.0.0/104", "expected a host name"},
            {"10.1.0.0/8", "bits set beyond /8"},
            {"example.com/8", "expected a host name"},
            {"*.10.0.0.1", "only at the start"},
            {"127.1", "expected a host name"},
        };
        for (const auto& c : cases) {
            std::string error;
            CHECK_MESSAGE(!HostPattern::parse(c.pattern, error), c.pattern);
            CHECK_MESSAGE(error.find(c.says) != std::string::npos, c.pattern, ": ", error);
        }
    }

    TEST_CASE("patterns that match no host together: neither is narrower, however long a name and its prefix are") {
        std::string error;
        const auto below = HostPattern::parse("*.a-long-name.example", error);
        const auto network = HostPattern::parse("10.0.0.0/8", error);
        CHECK(!below->narrower_than(*network));
        CHECK(!network->narrower_than(*below));
    }

    TEST_CASE("patterns overlap when a host matches both") {
        const auto overlap = [](const char* a, const char* b) {
            std::string error;
            const bool forth = HostPattern::parse(a, error)->overlaps(*HostPattern::parse(b, error));
            CHECK(forth == HostPattern::parse(b, error)->overlaps(*HostPattern::parse(a, error)));
            return forth;
        };
        CHECK(overlap("a.example.com", "a.example.com"));
        CHECK(overlap("*.example.com", "a.example.com"));
        CHECK(overlap("*.example.com", "*.a.example.com"));
        CHECK(overlap("*.example.com", "*.example.com"));
        CHECK(overlap("10.0.0.0/8", "10.1.0.0/16"));
        CHECK(overlap("10.0.0.0/8", "10.1.2.3"));
        CHECK(!overlap("*.example.com", "example.com"));
        CHECK(!overlap("*.example.com", "*.example.org"));
        CHECK(!overlap("10.0.0.0/8", "11.0.0.0/8"));
        CHECK(!overlap("10.0.0.0/8", "::/0"));
    }

    TEST_CASE("a pattern prints as it may be written") {
        std::string error;
        for (const char* text : {"api.example.com", "*.example.com", "10.0.0.0/8", "2001:db8::1", "2001:db8::/32"})
            CHECK(HostPattern::parse(text, error)->to_string() == text);
    }
}
