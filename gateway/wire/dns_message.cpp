#include "gateway/wire/dns_message.hpp"

#include <algorithm>
#include <array>

#include "gateway/wire/byte_reader.hpp"

namespace sallyport::wire {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kHeader = 12;
constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMinUdpPayload = 512;
constexpr std::uint16_t kExtendedErrorOption = 15;
constexpr std::uint16_t kQuestionName = 0xc000 | kHeader;  // a pointer to where the question's name always stands

constexpr std::uint16_t kResponse = 1 << 15;
constexpr std::uint16_t kOpcode = 0xf << 11;
constexpr std::uint16_t kTruncated = 1 << 9;
constexpr std::uint16_t kRecursionDesired = 1 << 8;
constexpr std::uint16_t kRecursionAvailable = 1 << 7;
constexpr std::uint16_t kCheckingDisabled = 1 << 4;
constexpr std::uint32_t kDnssecOk = 1 << 15;

void append_label(std::string& name, Bytes label) {
    if (!name.empty()) name += '.';
    for (const auto byte : label) {
        if (byte > ' ' && byte < 0x7f && byte != '.' && byte != '\\') {
            name += static_cast<char>(byte);
            continue;
        }
        // RFC 1035, section 5.1: a dot inside a label must not look like one between labels.
        name += '\\';
        name += static_cast<char>('0' + byte / 100);
        name += static_cast<char>('0' + byte / 10 % 10);
        name += static_cast<char>('0' + byte % 10);
    }
}

/// False when it is cut, too long or compressed.
bool read_name(ByteReader& reader, std::string& name) {
    std::size_t length = 0;
    while (true) {
        const auto size = reader.u8();
        length += 1u + size;
        if (!reader.ok() || size > 63 || length > kMaxName) return false;
        if (size == 0) return true;
        const auto label = reader.take(size);
        if (!reader.ok()) return false;
        append_label(name, label);
    }
}

/// False unless it is an OPT record (RFC 6891, section 6.1.2) whose options are in order.
bool read_opt(ByteReader& reader, DnsEdns& edns) {
    const bool root = reader.u8() == 0;
    const auto type = reader.u16();
    edns.udp_payload = reader.u16();
    const auto ttl = reader.u32();
    ByteReader options(reader.vector16());
    if (!reader.ok() || !root || type != kDnsOpt) return false;
    edns.version = static_cast<std::uint8_t>(ttl >> 16);
    edns.dnssec_ok = (ttl & kDnssecOk) != 0;
    while (!options.at_end()) {
        options.u16();
        options.vector16();
        if (!options.ok()) return false;
    }
    return true;
}

bool read_sections(Bytes message, DnsQuery& query) {
    ByteReader reader(message.subspan(4));
    const auto questions = reader.u16();
    const auto answers = reader.u16();
    const auto authorities = reader.u16();
    const auto additional = reader.u16();
    if (questions != 1 || answers != 0 || authorities != 0 || additional > 1) return false;
    if (!read_name(reader, query.name)) return false;
    query.type = reader.u16();
    query.dns_class = reader.u16();
    if (!reader.ok()) return false;
    const auto question = message.subspan(kHeader, message.size() - kHeader - reader.left());
    query.question.assign(question.begin(), question.end());
    if (additional == 1 && !read_opt(reader, query.edns.emplace())) return false;
    return reader.at_end();
}

class Writer {
public:
    void u8(std::uint8_t value) { bytes_.push_back(value); }
    void u16(std::uint16_t value) {
        u8(static_cast<std::uint8_t>(value >> 8));
        u8(static_cast<std::uint8_t>(value));
    }
    void u32(std::uint32_t value) {
        u16(static_cast<std::uint16_t>(value >> 16));
        u16(static_cast<std::uint16_t>(value));
    }
    template <class Range>
    void bytes(const Range& range) {
        bytes_.insert(bytes_.end(), range.begin(), range.end());
    }
    std::vector<std::uint8_t> take() { return std::move(bytes_); }

private:
    std::vector<std::uint8_t> bytes_;
};

std::uint16_t reply_flags(const DnsHeader& header, DnsRcode rcode) {
    return static_cast<std::uint16_t>(kResponse | kRecursionAvailable |
                                      (header.flags & (kOpcode | kRecursionDesired | kCheckingDisabled)) |
                                      (static_cast<unsigned>(rcode) & 0xf));
}

void write_record(Writer& writer, const DnsRecord& record) {
    writer.u16(kQuestionName);
    writer.u16(record.type);
    writer.u16(kDnsClassIn);
    writer.u32(record.ttl);
    writer.u16(static_cast<std::uint16_t>(record.data.size()));
    writer.bytes(record.data);
}

/// The root owns it: that is an ancestor of every name, so it fits NODATA and NXDOMAIN alike.
void write_root_soa(Writer& writer, std::uint32_t ttl) {
    writer.u8(0);
    writer.u16(kDnsSoa);
    writer.u16(kDnsClassIn);
    writer.u32(ttl);
    writer.u16(2 + 5 * 4);
    writer.u16(0);  // primary server and mailbox: the root
    for (const std::uint32_t value : {1u, 3600u, 600u, 86400u, ttl}) writer.u32(value);
}

void write_opt(Writer& writer, const DnsEdns& edns, DnsRcode rcode, const DnsExtendedError* error) {
    writer.u8(0);
    writer.u16(kDnsOpt);
    writer.u16(kDnsUdpPayload);
    writer.u32(static_cast<std::uint32_t>(rcode) >> 4 << 24 | (edns.dnssec_ok ? kDnssecOk : 0));
    if (error == nullptr) return writer.u16(0);
    const auto option = static_cast<std::uint16_t>(2 + error->text.size());
    writer.u16(4 + option);
    writer.u16(kExtendedErrorOption);
    writer.u16(option);
    writer.u16(error->code);
    writer.bytes(error->text);
}

std::vector<std::uint8_t> encode(const DnsQuery& query, const DnsReply& reply, const DnsExtendedError* error,
                                 bool truncated) {
    const bool negative = reply.negative_ttl && !truncated;
    Writer writer;
    writer.u16(query.header.id);
    writer.u16(reply_flags(query.header, reply.rcode) | (truncated ? kTruncated : 0));
    writer.u16(1);
    writer.u16(truncated ? 0 : static_cast<std::uint16_t>(reply.answers.size()));
    writer.u16(negative ? 1 : 0);
    writer.u16(query.edns ? 1 : 0);
    writer.bytes(query.question);
    if (!truncated)
        for (const auto& record : reply.answers) write_record(writer, record);
    if (negative) write_root_soa(writer, *reply.negative_ttl);
    if (query.edns) write_opt(writer, *query.edns, reply.rcode, error);
    return writer.take();
}

}  // namespace

DnsQueryResult parse_dns_query(Bytes message) {
    if (message.size() < kHeader) return DnsIgnored{};
    ByteReader reader(message);
    DnsHeader header;
    header.id = reader.u16();
    header.flags = reader.u16();
    if ((header.flags & kResponse) != 0) return DnsIgnored{};
    if (header.opcode() != 0) return DnsRefusal{header, DnsRcode::not_implemented};
    DnsQuery query;
    query.header = header;
    if (message.size() > kMaxDnsQuery || !read_sections(message, query))
        return DnsRefusal{header, DnsRcode::format_error};
    return query;
}

std::size_t dns_udp_limit(const DnsQuery& query) {
    if (!query.edns) return kMinUdpPayload;
    return std::clamp<std::size_t>(query.edns->udp_payload, kMinUdpPayload, kDnsUdpPayload);
}

std::vector<std::uint8_t> encode_dns_reply(const DnsQuery& query, const DnsReply& reply, std::size_t limit) {
    const DnsExtendedError* error = reply.error ? &*reply.error : nullptr;
    auto message = encode(query, reply, error, false);
    if (message.size() <= limit) return message;
    const DnsExtendedError bare{error != nullptr ? error->code : std::uint16_t{0}, ""};
    message = encode(query, reply, error != nullptr ? &bare : nullptr, false);
    if (message.size() <= limit) return message;
    return encode(query, reply, nullptr, true);
}

std::vector<std::uint8_t> encode_dns_refusal(const DnsRefusal& refusal) {
    Writer writer;
    writer.u16(refusal.header.id);
    writer.u16(reply_flags(refusal.header, refusal.rcode));
    for (int count = 0; count < 4; ++count) writer.u16(0);
    return writer.take();
}

std::vector<std::uint8_t> encode_dns_name(std::string_view name) {
    Writer writer;
    while (!name.empty()) {
        const auto label = name.substr(0, name.find('.'));
        writer.u8(static_cast<std::uint8_t>(label.size()));
        writer.bytes(label);
        name.remove_prefix(std::min(name.size(), label.size() + 1));
    }
    writer.u8(0);
    return writer.take();
}

}  // namespace sallyport::wire
