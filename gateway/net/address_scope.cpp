#include "gateway/net/address_scope.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace sallyport::net {
namespace {

struct Network {
    const char* address;
    int prefix;
    std::string_view reason;
};

constexpr std::string_view kPrivate = "a private address";
constexpr std::string_view kReserved = "a reserved address";

// IANA's special-purpose registries (RFC 6890 and its updates), and what a cloud put into public space. The first
// match names the kind.
constexpr Network kNotPublic[] = {
    {"0.0.0.0", 8, "an address of this host"},
    {"10.0.0.0", 8, kPrivate},
    {"100.64.0.0", 10, "a shared carrier address (cloud metadata)"},  // 100.100.100.200: Alibaba
    {"127.0.0.0", 8, "a loopback address"},
    {"168.63.129.16", 32, "a cloud platform address (Azure host agent)"},
    {"169.254.0.0", 16, "a link-local address (cloud metadata)"},
    {"172.16.0.0", 12, kPrivate},
    {"192.0.0.0", 24, "a protocol assignment address"},
    {"192.168.0.0", 16, kPrivate},
    {"198.18.0.0", 15, "a benchmarking address"},  // also the sandbox's virtual addresses
    {"224.0.0.0", 4, "a multicast address"},
    {"255.255.255.255", 32, "the broadcast address"},
    {"240.0.0.0", 4, kReserved},
    {"::", 128, "an address of this host"},
    {"::1", 128, "a loopback address"},
    {"64:ff9b:1::", 48, "a private translation address"},
    {"100::", 64, "a discard address"},
    {"2001::", 32, "a Teredo tunnel address"},
    {"2001::", 23, "a protocol assignment address"},
    {"2002::", 16, "a 6to4 tunnel address"},
    {"5f00::", 16, "a segment routing address"},
    {"fc00::", 7, kPrivate},
    {"fe80::", 10, "a link-local address (cloud metadata)"},
    {"fec0::", 10, "a site-local address"},
    {"ff00::", 8, "a multicast address"},
};

struct ParsedNetwork {
    IpAddress address;
    int prefix;
    std::string_view reason;
};

const std::vector<ParsedNetwork>& not_public() {
    static const auto kParsed = [] {
        std::vector<ParsedNetwork> parsed;
        for (const auto& network : kNotPublic)
            parsed.push_back({IpAddress::parse(network.address).value(), network.prefix, network.reason});
        return parsed;
    }();
    return kParsed;
}

/// The IPv4 address behind a NAT64 gateway with the well-known prefix 64:ff9b::/96.
std::optional<IpAddress> translated(const IpAddress& address) {
    constexpr std::uint8_t kPrefix[12] = {0x00, 0x64, 0xff, 0x9b};
    const auto& b = address.bytes();
    if (address.is_v4() || !std::equal(std::begin(kPrefix), std::end(kPrefix), b.begin())) return std::nullopt;
    return IpAddress::v4({b[12], b[13], b[14], b[15]});
}

bool is_global_unicast_v6(const IpAddress& address) { return (address.bytes()[0] & 0xe0) == 0x20; }

}  // namespace

std::optional<std::string_view> private_reason(const IpAddress& address, const AddressSet& own) {
    if (const auto inner = translated(address)) return private_reason(*inner, own);
    for (const auto& network : not_public())
        if (address.in_network(network.address, network.prefix)) return network.reason;
    if (address.is_v6() && !is_global_unicast_v6(address)) return kReserved;
    if (own.contains(address)) return "an address of the gateway itself";
    return std::nullopt;
}

bool is_local_network(const IpAddress& address, const AddressSet& own) {
    return address.is_v4() && private_reason(address) == kPrivate && !own.contains(address);
}

Result<AddressSet> own_addresses() {
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0)
        return Error{ErrorKind::io, std::string("cannot list this machine's addresses: ") + std::strerror(errno)};
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
    AddressSet addresses;
    for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
        if (!entry->ifa_addr) continue;
        const int family = entry->ifa_addr->sa_family;
        if (family != AF_INET && family != AF_INET6) continue;
        sockaddr_storage storage{};
        std::memcpy(&storage, entry->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
        if (const auto endpoint = Endpoint::from_sockaddr(storage)) addresses.insert(endpoint->address);
    }
    return addresses;
}

}  // namespace sallyport::net
