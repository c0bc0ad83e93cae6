#include "gateway/wire/client_hello.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sallyport::wire;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

Bytes text(std::string_view s) { return {s.begin(), s.end()}; }

Bytes number(std::size_t value, int width) {
    Bytes out;
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
    return out;
}

/// A vector with its length in `width` bytes before it.
Bytes sized(const Bytes& content, int width) { return number(content.size(), width) + content; }

Bytes extension(std::uint16_t type, const Bytes& body) { return number(type, 2) + sized(body, 2); }

Bytes host_name(std::string_view name) { return Bytes{0} + sized(text(name), 2); }

Bytes server_name(std::string_view name) { return extension(0, sized(host_name(name), 2)); }

Bytes record(const Bytes& content, std::uint8_t minor = 1) { return Bytes{22, 3, minor} + sized(content, 2); }

Bytes message(const Bytes& extensions) {
    const Bytes body =
        Bytes{3, 3} + Bytes(32, 7) + sized({}, 1) + sized({0x13, 1}, 2) + sized({0}, 1) + sized(extensions, 2);
    return Bytes{1} + sized(body, 3);
}

Bytes hello(const Bytes& extensions) { return record(message(extensions)); }

/// The message cut into records of `size` bytes of content.
Bytes in_records(const Bytes& content, std::size_t size) {
    Bytes out;
    for (std::size_t i = 0; i < content.size(); i += size)
        out = out + record({content.begin() + static_cast<std::ptrdiff_t>(i),
                            content.begin() + static_cast<std::ptrdiff_t>(std::min(i + size, content.size()))});
    return out;
}

ClientHello parsed(const Bytes& bytes) {
    const auto result = parse_client_hello(bytes);
    REQUIRE(std::holds_alternative<ClientHello>(result));
    return std::get<ClientHello>(result);
}

std::string malformed(const Bytes& bytes) {
    const auto result = parse_client_hello(bytes);
    return std::holds_alternative<MalformedHello>(result) ? std::string(std::get<MalformedHello>(result).why) : "";
}

bool needs_more(const Bytes& bytes) { return std::holds_alternative<NeedMore>(parse_client_hello(bytes)); }
bool is_not_tls(const Bytes& bytes) { return std::holds_alternative<NotTls>(parse_client_hello(bytes)); }

/// What OpenSSL 3.0 sends for api.example.com, without the padding extension's zeros.
Bytes openssl_hello() {
    constexpr std::string_view kHex =
        "1603010200010001fc0303ea5025cc409de800a3241e62caf510ea09e906d4bb599aef6476c0d497982e54201e32d7c9b13d6a48dd78a4"
        "d56a3e3f881def56d6c7749fe2a46408b48be7a7e80024130213031301c02cc030c02bc02fcca9cca8c024c028c023c027009f009e006b"
        "006700ff0100018f00000014001200000f6170692e6578616d706c652e636f6d000b000403000102000a00160014001d0017001e001900"
        "1801000101010201030104002300000010000e000c02683208687474702f312e310016000000170000000d002a00280403050306030807"
        "08080809080a080b080408050806040105010601030303010302040205020602002b00050403040303002d00020101003300260024001d"
        "002012c1a70e11099611cc6003a349fd473e4b0e40274b62a213bcad6312e5eeac4e001500cc";
    Bytes out;
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    for (std::size_t i = 0; i < kHex.size(); i += 2)
        out.push_back(static_cast<std::uint8_t>(digit(kHex[i]) << 4 | digit(kHex[i + 1])));
    out.resize(517);
    return out;
}

}  // namespace

TEST_CASE("client hello: what OpenSSL sends is understood") {
    const auto result = parsed(openssl_hello());
    CHECK(result.server_name == "api.example.com");
    CHECK(result.alpn == std::vector<std::string>{"h2", "http/1.1"});
    CHECK(result.offers_tls13);
    CHECK_FALSE(result.encrypted_client_hello);
    CHECK(result.consumed == 517);
}

TEST_CASE("client hello: every prefix needs more, and what follows changes nothing") {
    const Bytes messages[] = {openssl_hello(), hello(server_name("a.example")),
                              in_records(message(server_name("a.example")), 1),
                              in_records(message(server_name("a.example")), 3)};
    for (const auto& whole : messages) {
        for (std::size_t size = 0; size < whole.size(); ++size)
            CHECK(needs_more({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}));
        const auto alone = parsed(whole);
        const auto followed = parsed(whole + Bytes{22, 3, 3, 0, 0, 99});
        CHECK(alone.consumed == whole.size());
        CHECK(followed.consumed == whole.size());
        CHECK(followed.server_name == alone.server_name);
    }
}

TEST_CASE("client hello: split over records of any size, it reads the same") {
    const Bytes content = message(server_name("split.example") + extension(16, sized(sized(text("h2"), 1), 2)));
    for (std::size_t size = 1; size <= content.size(); ++size) {
        const auto result = parsed(in_records(content, size));
        CHECK(result.server_name == "split.example");
        CHECK(result.alpn == std::vector<std::string>{"h2"});
    }
}

TEST_CASE("client hello: no extensions, no server name, TLS 1.2 only, ECH") {
    const Bytes body = Bytes{3, 3} + Bytes(32, 7) + sized({}, 1) + sized({0x13, 1}, 2) + sized({0}, 1);
    CHECK_FALSE(parsed(record(Bytes{1} + sized(body, 3))).server_name);
    CHECK_FALSE(parsed(hello({})).server_name);
    CHECK_FALSE(parsed(hello(extension(43, sized({3, 3}, 1)))).offers_tls13);
    CHECK(parsed(hello(extension(43, sized({0x7a, 0x7a, 3, 4}, 1)))).offers_tls13);
    CHECK(parsed(hello(extension(0xfe0d, {0, 1, 2}))).encrypted_client_hello);
}

TEST_CASE("client hello: the record's version may be odd, but not unknown") {
    const Bytes content = message(server_name("a.example"));
    for (std::uint8_t minor = 0; minor <= 4; ++minor) CHECK(parsed(record(content, minor)).server_name == "a.example");
    CHECK(is_not_tls(record(content, 5)));
    CHECK(is_not_tls({22, 2}));
    CHECK(is_not_tls({22, 3, 9}));
}

TEST_CASE("client hello: other protocols are not TLS, from their first byte on") {
    CHECK(is_not_tls(text("GET / HTTP/1.1\r\n")));
    CHECK(is_not_tls(text("S")));
    CHECK(is_not_tls({0x80, 0x2e, 1, 3, 1}));    // SSLv2
    CHECK(is_not_tls({21, 3, 1, 0, 2, 2, 40}));  // an alert
}

TEST_CASE("client hello: refused when the server name has two meanings") {
    const auto list = [](const Bytes& entries) { return hello(extension(0, sized(entries, 2))); };
    CHECK(malformed(hello(server_name("a.example") + server_name("b.example"))) == "an extension appears twice");
    CHECK(malformed(list(host_name("a.example") + host_name("b.example"))).find("more than one") != std::string::npos);
    CHECK(malformed(hello(server_name(std::string_view("a.example\0.evil", 15)))).find("NUL") != std::string::npos);
    CHECK_FALSE(malformed(hello(server_name(""))).empty());
    CHECK_FALSE(malformed(list({})).empty());
    CHECK_FALSE(malformed(list(Bytes{1} + sized(text("a.example"), 2))).empty());
    CHECK_FALSE(malformed(hello(extension(0, sized(host_name("a.example"), 2) + Bytes{0}))).empty());
}

TEST_CASE("client hello: refused when a length does not fit") {
    CHECK_FALSE(malformed(record(Bytes{1} + sized({3, 3}, 3))).empty());
    CHECK_FALSE(malformed(hello(Bytes{0, 10, 0, 5, 1})).empty());
    CHECK_FALSE(malformed(hello(extension(16, {0, 9, 1}))).empty());
    CHECK_FALSE(malformed(hello(extension(16, sized({0}, 2)))).empty());
    CHECK_FALSE(malformed(hello(extension(43, sized({3}, 1)))).empty());
    CHECK_FALSE(malformed(record(message({}) + Bytes{0})).empty());
}

TEST_CASE("client hello: refused when records are empty, foreign or hold another message") {
    const Bytes content = message(server_name("a.example"));
    const Bytes first(content.begin(), content.begin() + 10);
    CHECK_FALSE(malformed(record({})).empty());
    CHECK_FALSE(malformed(record(first) + record({})).empty());
    CHECK_FALSE(malformed(record(first) + Bytes{21, 3, 1, 0, 2, 1, 0}).empty());
    CHECK_FALSE(malformed(record({2, 0, 0, 0})).empty());
    CHECK_FALSE(malformed({22, 3, 1, 0x40, 1}).empty());
}

TEST_CASE("client hello: too large is said as soon as it is sure, without waiting for the bytes") {
    CHECK(malformed(Bytes{22, 3, 1, 0x20, 0} + Bytes{1, 0, 0x40, 0}).find("larger") != std::string::npos);
    CHECK(malformed(in_records(Bytes{1, 0, 0x3f, 0} + Bytes(0x3f00, 0), 1)).find("larger") != std::string::npos);
    CHECK(needs_more(Bytes{22, 3, 1, 0x3f, 4, 1, 0, 0x3f, 0}));
}
