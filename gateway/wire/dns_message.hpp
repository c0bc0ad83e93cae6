#pragma once
// DNS messages as a server of one zone, the whole world, needs them: read a query, write the answer. Pure.
// RFC 1035 section 4, RFC 6891 (EDNS), RFC 8914 (extended errors), RFC 2308 (negative answers).

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sallyport::wire {

enum class DnsRcode : std::uint16_t {
    no_error = 0,
    format_error = 1,
    server_failure = 2,
    no_such_name = 3,
    not_implemented = 4,
    refused = 5,
    bad_version = 16,
};

enum DnsType : std::uint16_t { kDnsA = 1, kDnsSoa = 6, kDnsPtr = 12, kDnsAaaa = 28, kDnsOpt = 41 };

inline constexpr std::uint16_t kDnsClassIn = 1;
/// Queries longer than this are refused; real ones stay below 600 bytes.
inline constexpr std::size_t kMaxDnsQuery = 4096;
/// The payload size that we announce, and the most that one of our UDP answers takes (no fragments).
inline constexpr std::uint16_t kDnsUdpPayload = 1232;

/// The two words of a header that an answer repeats.
struct DnsHeader {
    std::uint16_t id = 0;
    std::uint16_t flags = 0;

    std::uint8_t opcode() const { return (flags >> 11) & 0xf; }
};

struct DnsEdns {
    std::uint16_t udp_payload = 512;
    std::uint8_t version = 0;
    bool dnssec_ok = false;
};

struct DnsQuery {
    DnsHeader header;
    std::vector<std::uint8_t> question;  ///< as on the wire, so that an answer repeats the letter case (0x20)
    std::string name;                    ///< as text: no trailing dot, "" is the root, odd bytes as \DDD
    std::uint16_t type = 0;
    std::uint16_t dns_class = 0;
    std::optional<DnsEdns> edns;
};

/// The query is refused without looking at its question; `header` is what the answer repeats.
struct DnsRefusal {
    DnsHeader header;
    DnsRcode rcode = DnsRcode::format_error;
};

/// Not to be answered at all: no header, or a response (answering those makes two servers talk for ever).
struct DnsIgnored {};

using DnsQueryResult = std::variant<DnsQuery, DnsRefusal, DnsIgnored>;

/// One question, at most one OPT record, nothing behind: anything else is format_error. Compression pointers are
/// refused, since nothing stands before a question that one could point to. Opcodes other than QUERY: not_implemented.
DnsQueryResult parse_dns_query(std::span<const std::uint8_t> message);

/// A record whose owner is the question's name (or the root, for the SOA of a negative answer).
struct DnsRecord {
    std::uint16_t type = 0;
    std::uint32_t ttl = 0;  ///< seconds
    std::vector<std::uint8_t> data;
};

struct DnsExtendedError {
    std::uint16_t code = 0;
    std::string text;  ///< shown by dig and resolvectl; UTF-8
};

struct DnsReply {
    DnsRcode rcode = DnsRcode::no_error;
    std::vector<DnsRecord> answers;
    std::optional<std::uint32_t> negative_ttl;  ///< adds an SOA that lets resolvers remember the absence so long
    std::optional<DnsExtendedError> error;      ///< sent only to clients that speak EDNS
};

/// The most bytes that the client takes over UDP.
std::size_t dns_udp_limit(const DnsQuery&);

/// The answer on the wire, at most `limit` bytes: the extended error's text goes first when it does not fit, then all
/// records, with TC set. `limit` is at least 512.
std::vector<std::uint8_t> encode_dns_reply(const DnsQuery&, const DnsReply&, std::size_t limit);
std::vector<std::uint8_t> encode_dns_refusal(const DnsRefusal&);

/// A name of text labels ("localhost", "api.example.com") as record data. Precondition: a canonical host name.
std::vector<std::uint8_t> encode_dns_name(std::string_view name);

}  // namespace sallyport::wire
