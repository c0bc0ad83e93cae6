// A host name's canonical form is its own canonical form; no C library reads it as an address that it is not; and
// patterns agree with each other about what they match. Input: a host, two patterns, an authority, one a line.

#include <arpa/inet.h>

#include "gateway/policy/host_pattern.hpp"
#include "gateway/session/authority.hpp"
#include "tests/fuzz/require.hpp"

using namespace sallyport;
using fuzz::require;

namespace {

/// As glibc, musl and most runtimes resolve it, without asking anyone: "127.1", "0x7f.1", "017700000001".
std::optional<IpAddress> read_by_inet_aton(const std::string& host) {
    in_addr address{};
    if (::inet_aton(host.c_str(), &address) == 0) return std::nullopt;
    std::array<std::uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &address, bytes.size());
    return IpAddress::v4(bytes);
}

void check_host(const std::string& host) {
    require(policy::canonical_host(host) == host);
    require(!host.empty() && host.size() <= 253 && host.find_first_of(" %/\\@?#[]*") == host.npos &&
            fuzz::printable(host));
    require(std::none_of(host.begin(), host.end(), [](char c) { return c >= 'A' && c <= 'Z'; }));
    require(read_by_inet_aton(host).value_or(IpAddress()) ==
            (read_by_inet_aton(host) ? *IpAddress::parse(host) : IpAddress()));
    std::string error;
    const auto exact = policy::HostPattern::parse(host, error);
    require(exact && exact->matches(host));
    if (IpAddress::parse(host)) return;
    const auto below = policy::HostPattern::parse("*." + host, error);
    if (below) require(!below->matches(host) && !below->overlaps(*exact) && below->matches("a." + host));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto input = fuzz::text(data, size);
    const auto host = policy::canonical_host(fuzz::take_line(input));
    if (host) check_host(*host);
    std::string error;
    const auto a = policy::HostPattern::parse(fuzz::take_line(input), error);
    const auto b = policy::HostPattern::parse(fuzz::take_line(input), error);
    for (const auto* pattern : {&a, &b}) {
        if (!*pattern) continue;
        const auto again = policy::HostPattern::parse((*pattern)->to_string(), error);
        require(again && again->kind() == (*pattern)->kind() && again->to_string() == (*pattern)->to_string());
    }
    if (a && b) {
        require(a->overlaps(*b) == b->overlaps(*a));
        require(!(a->narrower_than(*b) && b->narrower_than(*a)));
        if (host && a->matches(*host) && b->matches(*host)) require(a->overlaps(*b));
    }
    if (const auto authority = session::parse_authority(input)) {
        check_host(authority->host);
        require(authority->port_text.find_first_not_of("0123456789") == std::string::npos &&
                authority->port_text.size() <= 5);
    }
    return 0;
}
