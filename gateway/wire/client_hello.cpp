#include "gateway/wire/client_hello.hpp"

#include <algorithm>
#include <utility>

#include "gateway/wire/byte_reader.hpp"

namespace sallyport::wire {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHelloMessage = 1;
constexpr std::size_t kRecordHeader = 5;
constexpr std::size_t kMessageHeader = 4;
constexpr std::size_t kMaxRecord = 1 << 14;

constexpr std::uint16_t kServerName = 0;
constexpr std::uint16_t kAlpn = 16;
constexpr std::uint16_t kSupportedVersions = 43;
constexpr std::uint16_t kEncryptedClientHello = 0xfe0d;
constexpr std::uint16_t kTls13 = 0x0304;

constexpr MalformedHello kTooLarge{"the ClientHello is larger than 16 KiB"};

std::string text(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

/// Each reads one extension's body; empty when it is in order, else what is wrong with it.
std::string_view read_server_name(Bytes body, ClientHello& hello) {
    ByteReader extension(body);
    ByteReader list(extension.vector16());
    if (!extension.at_end()) return "the server_name extension has a wrong length";
    const auto type = list.u8();
    const auto name = list.vector16();
    if (!list.ok() || type != 0 || name.empty()) return "the server_name extension holds no host name";
    // RFC 6066 forbids two names of one type, and no other type exists: with two, peers could disagree on which counts.
    if (!list.at_end()) return "the server_name extension holds more than one name";
    if (std::find(name.begin(), name.end(), 0) != name.end()) return "the server name contains NUL";
    hello.server_name = text(name);
    return {};
}

std::string_view read_alpn(Bytes body, ClientHello& hello) {
    ByteReader extension(body);
    ByteReader list(extension.vector16());
    if (!extension.at_end() || list.at_end()) return "the ALPN extension has a wrong length";
    while (!list.at_end()) {
        const auto protocol = list.vector8();
        if (!list.ok() || protocol.empty()) return "the ALPN extension holds an empty or cut protocol name";
        hello.alpn.push_back(text(protocol));
    }
    return {};
}

std::string_view read_supported_versions(Bytes body, ClientHello& hello) {
    ByteReader extension(body);
    ByteReader list(extension.vector8());
    if (!extension.at_end() || list.at_end()) return "the supported_versions extension has a wrong length";
    while (!list.at_end()) {
        if (list.u16() == kTls13) hello.offers_tls13 = true;
        if (!list.ok()) return "the supported_versions extension is cut";
    }
    return {};
}

std::string_view read_extension(std::uint16_t type, Bytes body, ClientHello& hello) {
    switch (type) {
        case kServerName:
            return read_server_name(body, hello);
        case kAlpn:
            return read_alpn(body, hello);
        case kSupportedVersions:
            return read_supported_versions(body, hello);
        case kEncryptedClientHello:
            hello.encrypted_client_hello = true;
            return {};
        default:
            return {};
    }
}

std::string_view read_extensions(Bytes block, ClientHello& hello) {
    ByteReader reader(block);
    std::vector<std::uint16_t> seen;
    while (!reader.at_end()) {
        const auto type = reader.u16();
        const auto body = reader.vector16();
        if (!reader.ok()) return "an extension is cut";
        seen.push_back(type);
        if (const auto why = read_extension(type, body, hello); !why.empty()) return why;
    }
    std::sort(seen.begin(), seen.end());
    if (std::adjacent_find(seen.begin(), seen.end()) != seen.end()) return "an extension appears twice";
    return {};
}

std::string_view read_body(Bytes body, ClientHello& hello) {
    ByteReader reader(body);
    const auto version = reader.u16();
    reader.take(32);  // random
    const auto session_id = reader.vector8();
    const auto cipher_suites = reader.vector16();
    const auto compression_methods = reader.vector8();
    if (!reader.ok()) return "the ClientHello is cut";
    if (version >> 8 != 3) return "the ClientHello's version is unknown";
    if (session_id.size() > 32) return "the session identifier is too long";
    if (cipher_suites.empty() || cipher_suites.size() % 2 != 0) return "the cipher suites have a wrong length";
    if (compression_methods.empty()) return "the compression methods are missing";
    if (reader.at_end()) return {};  // TLS 1.2 and older may leave the extensions out
    const auto extensions = reader.vector16();
    if (!reader.at_end()) return "the extensions have a wrong length";
    return read_extensions(extensions, hello);
}

/// Not even the start of a handshake record of SSL 3.0 to TLS 1.3; looks at as much of it as is there.
bool other_record(Bytes record) {
    return (record.size() > 0 && record[0] != kHandshakeRecord) || (record.size() > 1 && record[1] != 3) ||
           (record.size() > 2 && record[2] > 4);
}

/// One record's place in the input.
struct Record {
    std::size_t length = 0;  ///< as its header says
    Bytes fragment;          ///< what of it has arrived
};

/// The record that starts at `position`, or why there is none.
std::variant<Record, ClientHelloResult> read_record(Bytes bytes, std::size_t position) {
    const Bytes rest = bytes.subspan(position);
    if (other_record(rest)) {
        if (position == 0) return NotTls{};
        return MalformedHello{"another record stands inside the ClientHello"};
    }
    if (position + kRecordHeader >= kMaxClientHello) return kTooLarge;
    if (rest.size() < kRecordHeader) return NeedMore{};
    const std::size_t length = static_cast<std::size_t>(rest[3]) << 8 | rest[4];
    // Empty records would let a client keep us reading without ever getting on (RFC 8446, section 5.1).
    if (length == 0) return MalformedHello{"a handshake record is empty"};
    if (length > kMaxRecord) return MalformedHello{"a record is longer than TLS allows"};
    if (position + kRecordHeader + length > kMaxClientHello) return kTooLarge;
    return Record{length, rest.subspan(kRecordHeader, std::min(length, rest.size() - kRecordHeader))};
}

ClientHelloResult read_message(Bytes message, std::size_t consumed) {
    ClientHello hello;
    hello.consumed = consumed;
    if (const auto why = read_body(message.subspan(kMessageHeader), hello); !why.empty()) return MalformedHello{why};
    return hello;
}

}  // namespace

ClientHelloResult parse_client_hello(Bytes bytes) {
    std::vector<std::uint8_t> message;
    std::size_t position = 0;
    while (true) {
        auto next = read_record(bytes, position);
        if (auto* ended = std::get_if<ClientHelloResult>(&next)) return std::move(*ended);
        const auto& record = std::get<Record>(next);
        const std::size_t end_of_record = message.size() + record.length;
        message.insert(message.end(), record.fragment.begin(), record.fragment.end());
        if (message.empty()) return NeedMore{};
        if (message[0] != kClientHelloMessage) return MalformedHello{"the first handshake message is no ClientHello"};

        const bool length_known = message.size() >= kMessageHeader;
        const std::size_t total = length_known ? kMessageHeader + ByteReader(Bytes(message).subspan(1)).u24() : 0;
        if (total > kMaxClientHello) return kTooLarge;
        if (length_known && end_of_record > total)
            return MalformedHello{"more than a ClientHello stands in its record"};
        if (record.fragment.size() < record.length) return NeedMore{};
        position += kRecordHeader + record.length;
        if (length_known && end_of_record == total) return read_message(message, position);
    }
}

}  // namespace sallyport::wire
