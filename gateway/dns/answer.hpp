#pragma once
// What the sandbox's DNS server answers. Nothing is ever asked of another server, so a name carries nothing out.
//   allowed name      A: its virtual address; any other type: no data (so no IPv6 race, no ECH key, no HTTP/3 hint)
//   above one         no data, since "no such name" would deny the allowed names below it too (RFC 8020)
//   any other name    no such name, with an extended error that says why (RFC 8914)
//   localhost         127.0.0.1, ::1 (RFC 6761, section 6.3); PTR of a virtual address: its name

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gateway/dns/virtual_addresses.hpp"
#include "gateway/policy/policy.hpp"

namespace sallyport::dns {

/// A question that got no address because of the policy, or in audit mode would have got none (`would_deny`).
/// `name` is printable ASCII, lower case.
struct DeniedName {
    std::string name;
    std::uint16_t type = 0;
    std::string why;
    bool would_deny = false;
};

enum class Transport { udp, tcp };

struct Answer {
    std::vector<std::uint8_t> message;  ///< empty: not to be answered
    std::optional<DeniedName> denied;
};

/// One message in (without the length that TCP puts before it), one message out. Only side effect: an allowed name
/// that is asked for the first time takes a virtual address.
Answer answer(const policy::Policy&, VirtualAddresses&, std::span<const std::uint8_t> query, Transport);

}  // namespace sallyport::dns
