// A query to the DNS server: the C library's resolver can read every answer; it repeats the question, fits, comes out
// the same again; an address is given only for an allowed name and stands for that name; a refusal has no record at
// all.

#include <arpa/nameser.h>
#include <resolv.h>

#include "gateway/dns/answer.hpp"
#include "gateway/policy/decide.hpp"
#include "gateway/policy/load.hpp"
#include "gateway/wire/dns_message.hpp"
#include "tests/fuzz/require.hpp"

using namespace sallyport;
using fuzz::require;

namespace {

const policy::Policy& rules() {
    static const auto kLoaded = policy::load(
        "[[allow]]\nhost=['h.example', '*.wild.example', 'a-b.c_d.example']\n[[deny]]\nhost='no.wild.example'\n",
        "fuzz.toml");
    return *std::get<std::shared_ptr<const policy::Policy>>(kLoaded);
}

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

void check_address(const dns::VirtualAddresses& addresses, const ns_rr& record, const std::string& name) {
    const auto* bytes = ns_rr_rdata(record);
    require(ns_rr_type(record) != ns_t_a || ns_rr_rdlen(record) == 4);
    if (name == "localhost" || name.ends_with(".localhost")) {
        require(ns_rr_type(record) == ns_t_a ? bytes[0] == 127 : ns_rr_type(record) == ns_t_aaaa && bytes[15] == 1);
        return;
    }
    if (ns_rr_type(record) == ns_t_ptr) return require(name.ends_with(".in-addr.arpa"));
    require(ns_rr_type(record) == ns_t_a);
    const auto host = policy::canonical_host(name);
    require(host && policy::resolution(rules(), *host) == policy::Resolution::yes);
    require(addresses.name_of(IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]})) == host);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static auto addresses = std::make_unique<dns::VirtualAddresses>();
    static int runs = 0;
    if (++runs % 10'000 == 0) addresses = std::make_unique<dns::VirtualAddresses>();
    for (const auto transport : {dns::Transport::udp, dns::Transport::tcp}) {
        const auto answer = dns::answer(rules(), *addresses, {data, size}, transport);
        require(dns::answer(rules(), *addresses, {data, size}, transport).message == answer.message);
        if (answer.message.empty()) {
            require(size < 12 || (data[2] & 0x80) != 0);  // no header, or itself an answer
            continue;
        }
        ns_msg message{};
        require(ns_initparse(answer.message.data(), static_cast<int>(answer.message.size()), &message) == 0);
        require(ns_msg_id(message) == (data[0] << 8 | data[1]) && ns_msg_getflag(message, ns_f_qr) == 1);
        const auto parsed = wire::parse_dns_query({data, size});
        const auto* query = std::get_if<wire::DnsQuery>(&parsed);
        if (!query) {
            require(answer.message.size() == 12 && ns_msg_getflag(message, ns_f_rcode) != ns_r_noerror &&
                    !answer.denied);
            continue;
        }
        if (transport == dns::Transport::udp) require(answer.message.size() <= wire::dns_udp_limit(*query));
        require(ns_msg_count(message, ns_s_qd) == 1 && ns_msg_count(message, ns_s_an) <= 1);
        require(std::equal(query->question.begin(), query->question.end(), answer.message.begin() + 12));
        ns_rr record{};
        for (const auto section : {ns_s_an, ns_s_ns, ns_s_ar})
            for (int i = 0; i < ns_msg_count(message, section); ++i)
                require(ns_parserr(&message, section, i, &record) == 0);
        if (ns_msg_count(message, ns_s_an) == 1) {
            require(!answer.denied && ns_parserr(&message, ns_s_an, 0, &record) == 0);
            check_address(*addresses, record, lower(query->name));
        }
        if (answer.denied) require(fuzz::printable(answer.denied->name) && !answer.denied->would_deny);
    }
    return 0;
}
