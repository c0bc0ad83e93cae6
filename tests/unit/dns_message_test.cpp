#include "gateway/wire/dns_message.hpp"

#include <doctest/doctest.h>

using namespace sallyport::wire;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

struct Head {
    std::uint8_t flags_high = 0x01, flags_low = 0;
    std::uint8_t questions = 1, answers = 0, authorities = 0, additional = 0;
};

Bytes head(const Head& h) {
    return {0xab, 0xcd, h.flags_high, h.flags_low, 0, h.questions, 0, h.answers, 0, h.authorities, 0, h.additional};
}

const Bytes kInA{0, 1, 0, 1};
const Bytes kOpt{0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0};

Bytes question(std::string_view name) { return encode_dns_name(name) + kInA; }

DnsQuery parsed(const Bytes& message) {
    const auto result = parse_dns_query(message);
    REQUIRE(std::holds_alternative<DnsQuery>(result));
    return std::get<DnsQuery>(result);
}

bool refused_with(const Bytes& message, DnsRcode rcode) {
    const auto result = parse_dns_query(message);
    return std::holds_alternative<DnsRefusal>(result) && std::get<DnsRefusal>(result).rcode == rcode;
}

bool is_ignored(const Bytes& message) { return std::holds_alternative<DnsIgnored>(parse_dns_query(message)); }

}  // namespace

TEST_CASE("dns query: name, type and EDNS are read, the question is kept as it came") {
    const auto plain = parsed(head({}) + question("eXample.COM"));
    CHECK(plain.name == "eXample.COM");
    CHECK(plain.type == kDnsA);
    CHECK(plain.dns_class == kDnsClassIn);
    CHECK(plain.question == question("eXample.COM"));
    CHECK_FALSE(plain.edns);
    CHECK(dns_udp_limit(plain) == 512);

    const auto extended =
        parsed(head({.additional = 1}) + question("a.b") + Bytes{0, 0, 41, 0x10, 0, 0, 1, 0x80, 0, 0, 0});
    REQUIRE(extended.edns);
    CHECK(extended.edns->udp_payload == 4096);
    CHECK(extended.edns->version == 1);
    CHECK(extended.edns->dnssec_ok);
    CHECK(dns_udp_limit(extended) == kDnsUdpPayload);
    CHECK(parsed(head({}) + Bytes{0} + kInA).name.empty());
}

TEST_CASE("dns query: bytes that are no host name cannot look like one") {
    const auto message = head({}) + Bytes{5, 'a', '.', 'b', '\\', 0, 1, 0xff, 0} + kInA;
    CHECK(parsed(message).name == "a\\046b\\092\\000.\\255");
}

TEST_CASE("dns query: every cut of a good one is refused, none is taken") {
    const Bytes whole = head({.additional = 1}) + question("www.example.com") + kOpt;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK((size < 12 ? is_ignored(cut) : refused_with(cut, DnsRcode::format_error)));
    }
    CHECK(parsed(whole).name == "www.example.com");
    CHECK(refused_with(whole + Bytes{0}, DnsRcode::format_error));
}

TEST_CASE("dns query: compression is refused, loops included") {
    CHECK(refused_with(head({}) + Bytes{0xc0, 12} + kInA, DnsRcode::format_error));
    CHECK(refused_with(head({}) + Bytes{1, 'a', 0xc0, 12} + kInA, DnsRcode::format_error));
    CHECK(refused_with(head({}) + Bytes{0x40, 'a', 0} + kInA, DnsRcode::format_error));
    for (const std::size_t size : {64, 128, 192})
        CHECK(refused_with(head({}) + Bytes{static_cast<std::uint8_t>(size)} + Bytes(size, 'a') + Bytes{0} + kInA,
                           DnsRcode::format_error));
}

TEST_CASE("dns query: names of more than 255 bytes are refused") {
    Bytes name;
    for (int i = 0; i < 4; ++i) name = name + Bytes{63} + Bytes(63, 'a');
    CHECK(refused_with(head({}) + name + Bytes{0} + kInA, DnsRcode::format_error));
    name.resize(3 * 64);
    name = name + Bytes{61} + Bytes(61, 'a') + Bytes{0};
    CHECK(name.size() == 255);
    CHECK(parsed(head({}) + name + kInA).name.size() == 253);
}

TEST_CASE("dns query: other counts than one question are refused") {
    const Bytes two = question("a.example") + question("b.example");
    CHECK(refused_with(head({.questions = 2}) + two, DnsRcode::format_error));
    CHECK(refused_with(head({.questions = 0}), DnsRcode::format_error));
    CHECK(refused_with(head({.answers = 1}) + two, DnsRcode::format_error));
    CHECK(refused_with(head({.authorities = 1}) + two, DnsRcode::format_error));
    CHECK(refused_with(head({.additional = 2}) + question("a.example") + kOpt + kOpt, DnsRcode::format_error));
    const Bytes other_record{0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0};
    CHECK(refused_with(head({.additional = 1}) + question("a.example") + other_record, DnsRcode::format_error));
    const Bytes cut_option{0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 5, 0, 10, 0, 8, 1};
    CHECK(refused_with(head({.additional = 1}) + question("a.example") + cut_option, DnsRcode::format_error));
}

TEST_CASE("dns query: responses get no answer, other opcodes a short one") {
    CHECK(is_ignored(head({.flags_high = 0x81}) + question("a.example")));
    const Bytes update = head({.flags_high = 0x28 | 0x01}) + question("a.example");
    CHECK(refused_with(update, DnsRcode::not_implemented));
    const auto reply = encode_dns_refusal(std::get<DnsRefusal>(parse_dns_query(update)));
    CHECK(reply == Bytes{0xab, 0xcd, 0x80 | 0x28 | 0x01, 0x80 | 4, 0, 0, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("dns reply: an address, byte for byte") {
    const auto query = parsed(head({}) + question("A.b"));
    DnsReply reply;
    reply.answers.push_back({kDnsA, 60, {198, 18, 1, 1}});
    CHECK(encode_dns_reply(query, reply, 512) == Bytes{0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0} +
                                                     question("A.b") +
                                                     Bytes{0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 18, 1, 1});
}

TEST_CASE("dns reply: a negative one carries an SOA; with EDNS its reason; without EDNS none") {
    DnsReply reply;
    reply.rcode = DnsRcode::no_such_name;
    reply.negative_ttl = 5;
    reply.error = DnsExtendedError{15, "no"};
    const Bytes soa{0, 0, 6,  0,  1, 0, 0, 0,  5, 0, 22, 0,   0, 0, 0, 0, 1,
                    0, 0, 14, 16, 0, 0, 2, 88, 0, 1, 81, 128, 0, 0, 0, 5};

    const auto plain = encode_dns_reply(parsed(head({}) + question("a.b")), reply, 512);
    CHECK(plain == Bytes{0xab, 0xcd, 0x81, 0x83, 0, 1, 0, 0, 0, 1, 0, 0} + question("a.b") + soa);

    const auto extended = encode_dns_reply(parsed(head({.additional = 1}) + question("a.b") + kOpt), reply, 512);
    CHECK(extended == Bytes{0xab, 0xcd, 0x81, 0x83, 0, 1, 0, 0, 0, 1, 0, 1} + question("a.b") + soa +
                          Bytes{0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 8, 0, 15, 0, 4, 0, 15, 'n', 'o'});
}

TEST_CASE("dns reply: too long for the client: first the text goes, then everything, with TC") {
    const auto query = parsed(head({.additional = 1}) + question("a.b") + kOpt);
    DnsReply reply;
    reply.error = DnsExtendedError{15, std::string(600, 'x')};
    reply.answers.push_back({kDnsA, 60, {198, 18, 1, 1}});
    const auto shortened = encode_dns_reply(query, reply, 512);
    CHECK(shortened.size() < 100);
    CHECK((shortened[2] & 0x02) == 0);
    CHECK(shortened[7] == 1);

    reply.answers.assign(40, {kDnsA, 60, {198, 18, 1, 1}});
    const auto truncated = encode_dns_reply(query, reply, 512);
    CHECK((truncated[2] & 0x02) != 0);
    CHECK(truncated[7] == 0);
    CHECK(truncated.size() < 100);
}

TEST_CASE("dns reply: BADVERS is split over header and OPT") {
    const auto query = parsed(head({.additional = 1}) + question("a.b") + Bytes{0, 0, 41, 4, 0, 0, 9, 0x80, 0, 0, 0});
    DnsReply reply;
    reply.rcode = DnsRcode::bad_version;
    const auto message = encode_dns_reply(query, reply, 512);
    CHECK((message[3] & 0xf) == 0);
    CHECK(Bytes(message.end() - 11, message.end()) == Bytes{0, 0, 41, 4, 0xd0, 1, 0, 0x80, 0, 0, 0});
}
