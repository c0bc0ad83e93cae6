// Names and literals that lead to private addresses, in every disguise, under rules that would allow the name or the
// whole address space, but do not say private = true: nothing is connected to.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/attempts.hpp"

using namespace sallyport::test;

namespace {

/// What they lead to, and the kind that the refusal names. Those of 127.0.0.1 and 0.0.0.0 would reach the origin.
const std::pair<std::string, std::string> kPrivate[] = {
    {"127.0.0.1", "a loopback address"},
    {"127.66.6.6", "a loopback address"},
    {"0.0.0.0", "an address of this host"},
    {"10.1.2.3", "a private address"},
    {"172.31.255.255", "a private address"},
    {"192.168.1.1", "a private address"},
    {"100.64.0.1", "a shared carrier address (cloud metadata)"},
    {"100.100.100.200", "a shared carrier address (cloud metadata)"},
    {"169.254.169.254", "a link-local address (cloud metadata)"},
    {"169.254.170.2", "a link-local address (cloud metadata)"},
    {"168.63.129.16", "a cloud platform address (Azure host agent)"},
    {"192.0.0.192", "a protocol assignment address"},
    {"198.18.1.1", "a benchmarking address"},
    {"224.0.0.1", "a multicast address"},
    {"255.255.255.255", "the broadcast address"},
    {"::1", "a loopback address"},
    {"::", "an address of this host"},
    {"::ffff:127.0.0.1", "a loopback address"},
    {"::ffff:0.0.0.0", "an address of this host"},
    {"::ffff:169.254.169.254", "a link-local address (cloud metadata)"},
    {"::127.0.0.1", "a reserved address"},
    {"64:ff9b::7f00:1", "a loopback address"},
    {"64:ff9b::a9fe:a9fe", "a link-local address (cloud metadata)"},
    {"64:ff9b:1::7f00:1", "a private translation address"},
    {"2002:7f00:1::", "a 6to4 tunnel address"},
    {"2002:a9fe:a9fe::1", "a 6to4 tunnel address"},
    {"2001:0:a00:1::1", "a Teredo tunnel address"},
    {"fd00:ec2::254", "a private address"},
    {"fc00::1", "a private address"},
    {"fe80::1", "a link-local address (cloud metadata)"},
    {"fec0::1", "a site-local address"},
    {"ff02::1", "a multicast address"},
};

const std::string kMetadata[] = {"metadata.google.internal", "instance-data.ec2.internal", "metadata.azure.internal"};

/// The port is that of an origin on 127.0.0.1, which such a request would reach.
std::unique_ptr<AttemptGround> ground_for(const std::string& hosts) {
    std::vector<std::pair<std::string, std::string>> names;
    for (std::size_t i = 0; i < std::size(kPrivate); ++i)
        names.emplace_back(fmt::format("n{}.rebind.test", i), kPrivate[i].first);
    for (const auto& name : kMetadata) names.emplace_back(name, "169.254.169.254");
    return AttemptGround::make("[[allow]]\nhost = " + hosts + "\nport = \"PLAIN\"\n", std::move(names));
}

}  // namespace

TEST_CASE(
    "request escape: an allowed name that leads to a private address, a metadata service or the gateway is refused") {
    const auto ground =
        ground_for(R"(["*.rebind.test", "metadata.google.internal", "*.ec2.internal", "*.azure.internal"])");
    if (!ground) return;
    const auto try_name = [&](const std::string& name, const std::string& kind) {
        const auto host = fmt::format("{}:{}", name, ground->plain_port());
        ground->attempt(ground->plain(ground->plain_port()),
                        {name + ", " + kind, request("GET /", "", "", host), "",
                         fmt::format("deny 403 {} GET /: {} resolves to ", name, name)});
        auto opaque = ground->gateway().connect(ground->gateway().lookup(name), ground->plain_port());
        ground->attempt(std::move(opaque),
                        {name + ", not HTTP", "\x01\x02\x03", "", kind + ": private = true in the rule allows it"});
    };
    for (std::size_t i = 0; i < std::size(kPrivate); ++i)
        try_name(fmt::format("n{}.rebind.test", i), kPrivate[i].second);
    for (const auto& name : kMetadata) try_name(name, "a link-local address (cloud metadata)");
    CHECK(ground->connections() == 0);
    ground->settle();
}

TEST_CASE("request escape: a literal address is private however it is written, under a rule for all addresses too") {
    const auto ground = ground_for(R"(["0.0.0.0/0", "::/0"])");
    if (!ground) return;
    const auto port = ground->plain_port();
    const auto try_host = [&](const std::string& host, const std::string& audited) {
        ground->attempt(ground->plain(port),
                        {host, request("GET /", "", "", fmt::format("{}:{}", host, port)), "", audited});
    };
    for (const auto& [address, kind] : kPrivate)
        try_host(address.find(':') == std::string::npos ? address : "[" + address + "]", kind);
    for (const std::string odd : {"127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001",
                                  "127.0.0.1.", "[127.0.0.1]", "[::1%25lo]", "[::1%lo]", "[::ffff:127.1]",
                                  "127.0.0.1%00.rebind.test", "\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1"})
        try_host(odd, "deny 400");
    try_host("localhost", "deny 403 localhost GET /: ");
    CHECK(ground->connections() == 0);
    ground->settle();
}
