#pragma once
// Which addresses a name may lead to unless a rule says `private = true`: those of the public internet.

#include <optional>
#include <string_view>
#include <unordered_set>

#include "gateway/base/endpoint.hpp"
#include "gateway/base/result.hpp"

namespace sallyport::net {

using AddressSet = std::unordered_set<IpAddress>;

/// What kind of address it is ("a private address"), or nullopt when it is public. Pure. `own`: the addresses of
/// this machine, never public. An IPv6 address is public only within 2000::/3 (IANA's global unicast), or when it
/// embeds a public IPv4 address by NAT64 (RFC 6052). Documentation ranges count as public: nothing lives there,
/// and closed laboratories use them as stand-ins.
std::optional<std::string_view> private_reason(const IpAddress&, const AddressSet& own = {});

/// True for the IPv4 networks that an organisation numbers itself (RFC 1918), unless it is one of `own`: what an audit
/// run may reach unasked. Loopback and link-local are not, nor is fc00::/7, where clouds have their metadata, too.
bool is_local_network(const IpAddress&, const AddressSet& own = {});

/// The addresses of all interfaces, by getifaddrs(3). They change; ask again now and then.
Result<AddressSet> own_addresses();

}  // namespace sallyport::net
