#include "gateway/dns/answer.hpp"

#include <string_view>
#include <utility>
#include <variant>

#include "gateway/policy/decide.hpp"
#include "gateway/wire/dns_message.hpp"

namespace sallyport::dns {
namespace {

using wire::DnsQuery;
using wire::DnsRcode;
using wire::DnsReply;

constexpr std::uint32_t kTtl = 60;         // a virtual address never changes, but clients should notice a restart
constexpr std::uint32_t kNegativeTtl = 5;  // after the policy was extended, a retry should work
constexpr std::uint16_t kBlocked = 15;     // RFC 8914, section 4.16
constexpr std::string_view kReverseZone = ".in-addr.arpa";

struct Outcome {
    DnsReply reply;
    std::string denied_because;  ///< empty: not denied
    bool would_deny = false;
};

Outcome bare(DnsRcode rcode) {
    Outcome outcome;
    outcome.reply.rcode = rcode;
    return outcome;
}

Outcome no_data() {
    Outcome outcome;
    outcome.reply.negative_ttl = kNegativeTtl;
    return outcome;
}

Outcome denied(DnsRcode rcode, std::string why) {
    DnsReply reply;
    reply.rcode = rcode;
    if (rcode != DnsRcode::server_failure) reply.negative_ttl = kNegativeTtl;
    reply.error = wire::DnsExtendedError{kBlocked, why};
    return {std::move(reply), std::move(why), false};
}

Outcome record(std::uint16_t type, std::vector<std::uint8_t> data) {
    DnsReply reply;
    reply.answers.push_back({type, kTtl, std::move(data)});
    return {std::move(reply), "", false};
}

Outcome address_record(const IpAddress& address) {
    const auto length = address.is_v4() ? 4 : 16;
    return record(address.is_v4() ? wire::kDnsA : wire::kDnsAaaa,
                  {address.bytes().begin(), address.bytes().begin() + length});
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 'a' - 'A');
    return result;
}

bool is_localhost(std::string_view name) { return name == "localhost" || name.ends_with(".localhost"); }

Outcome answer_localhost(std::uint16_t type) {
    if (type == wire::kDnsA) return address_record(IpAddress::v4({127, 0, 0, 1}));
    if (type == wire::kDnsAaaa) return address_record(*IpAddress::parse("::1"));
    return no_data();
}

/// "4.3.2.1.in-addr.arpa" -> 1.2.3.4.
std::optional<IpAddress> reverse_address(std::string_view name) {
    if (!name.ends_with(kReverseZone)) return std::nullopt;
    const auto digits = name.substr(0, name.size() - kReverseZone.size());
    const auto swapped = IpAddress::parse(digits);
    if (!swapped || !swapped->is_v4()) return std::nullopt;
    const auto& b = swapped->bytes();
    return IpAddress::v4({b[3], b[2], b[1], b[0]});
}

Outcome answer_allowed(VirtualAddresses& addresses, const std::string& name, std::uint16_t type) {
    if (type != wire::kDnsA) return no_data();
    if (const auto address = addresses.address_of(name)) return address_record(*address);
    return denied(DnsRcode::server_failure, "too many names are in use");
}

Outcome answer_name(const policy::Policy& policy, VirtualAddresses& addresses, const std::string& name,
                    std::uint16_t type) {
    if (name.empty()) return no_data();  // the root has every allowed name below it
    if (is_localhost(name)) return answer_localhost(type);
    if (const auto address = reverse_address(name)) {
        const auto host = addresses.name_of(*address);
        if (!host) return denied(DnsRcode::no_such_name, "no name has the address " + address->to_string());
        return type == wire::kDnsPtr ? record(wire::kDnsPtr, wire::encode_dns_name(*host)) : no_data();
    }
    const auto host = policy::canonical_host(name);
    if (!host) return denied(DnsRcode::no_such_name, name + " is not a host name");
    if (IpAddress::parse(*host)) return denied(DnsRcode::no_such_name, name + " is an address, not a name");
    const auto resolution = policy::resolution(policy, *host);
    if (resolution != policy::Resolution::no) {
        auto outcome = answer_allowed(addresses, *host, type);
        if (resolution == policy::Resolution::yes || !outcome.denied_because.empty()) return outcome;
        outcome.denied_because = "no rule allows " + *host;
        outcome.would_deny = true;
        return outcome;
    }
    if (policy.has_allowed_descendant(*host))
        return denied(DnsRcode::no_error, "no rule allows " + *host + ", only names below it");
    return denied(DnsRcode::no_such_name, "no rule allows " + *host);
}

Outcome answer_query(const policy::Policy& policy, VirtualAddresses& addresses, const DnsQuery& query,
                     const std::string& name) {
    if (query.edns && query.edns->version != 0) return bare(DnsRcode::bad_version);
    if (query.dns_class != wire::kDnsClassIn) return bare(DnsRcode::refused);
    return answer_name(policy, addresses, name, query.type);
}

}  // namespace

Answer answer(const policy::Policy& policy, VirtualAddresses& addresses, std::span<const std::uint8_t> query,
              Transport transport) {
    const auto parsed = wire::parse_dns_query(query);
    if (std::holds_alternative<wire::DnsIgnored>(parsed)) return {};
    if (const auto* refusal = std::get_if<wire::DnsRefusal>(&parsed)) return {wire::encode_dns_refusal(*refusal), {}};

    const auto& question = std::get<DnsQuery>(parsed);
    auto name = lower(question.name);
    auto outcome = answer_query(policy, addresses, question, name);
    const std::size_t limit = transport == Transport::udp ? wire::dns_udp_limit(question) : 0xffff;
    Answer result{wire::encode_dns_reply(question, outcome.reply, limit), {}};
    if (!outcome.denied_because.empty())
        result.denied =
            DeniedName{std::move(name), question.type, std::move(outcome.denied_because), outcome.would_deny};
    return result;
}

}  // namespace sallyport::dns
