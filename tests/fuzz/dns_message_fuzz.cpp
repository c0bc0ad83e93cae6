// Besides not crashing: what is taken for a query answers within its limit, repeats the question and id, and its name
// is printable.
#include <algorithm>
#include <cstdlib>

#include "gateway/wire/dns_message.hpp"

using namespace sallyport::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto result = parse_dns_query({data, size});
    if (const auto* refusal = std::get_if<DnsRefusal>(&result)) {
        if (encode_dns_refusal(*refusal).size() != 12) std::abort();
    }
    const auto* query = std::get_if<DnsQuery>(&result);
    if (query == nullptr) return 0;
    const auto printable = [](char c) { return c > ' ' && c < 0x7f; };
    if (!std::all_of(query->name.begin(), query->name.end(), printable)) std::abort();
    DnsReply reply;
    reply.rcode = DnsRcode::no_such_name;
    reply.negative_ttl = 5;
    reply.error = DnsExtendedError{15, "no rule allows " + query->name};
    const auto message = encode_dns_reply(*query, reply, dns_udp_limit(*query));
    if (message.size() > dns_udp_limit(*query) || message.size() < 12 + query->question.size()) std::abort();
    if (message[0] != data[0] || message[1] != data[1] || (message[2] & 0x82) != 0x80) std::abort();
    if (!std::equal(query->question.begin(), query->question.end(), message.begin() + 12)) std::abort();
    return 0;
}
