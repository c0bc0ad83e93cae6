#pragma once
// The alphabet of RFC 3986 and percent-encoding, shared by targets and path patterns.

#include <optional>
#include <string>
#include <string_view>

namespace sallyport::policy {

/// -1 when `c` is no hex digit.
constexpr int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// The byte that the escape at `at` ("%41") stands for; nullopt when there is no whole escape.
constexpr std::optional<unsigned char> escape_at(std::string_view text, std::size_t at) {
    if (at + 2 >= text.size() || text[at] != '%') return std::nullopt;
    const int high = hex_digit(text[at + 1]);
    const int low = hex_digit(text[at + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    return static_cast<unsigned char>(high * 16 + low);
}

constexpr bool is_unreserved(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

/// pchar of RFC 3986 without the escapes, and "/".
constexpr bool is_path_char(unsigned char c) {
    return is_unreserved(c) || std::string_view("!$&'()*+,;=:@/").find(static_cast<char>(c)) != std::string_view::npos;
}

constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool is_control(unsigned char c) { return c < 0x20 || c == 0x7f; }

/// Appends "%41", hex in upper case.
inline void append_escape(std::string& out, unsigned char byte) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    out += {'%', kHex[byte >> 4], kHex[byte & 15]};
}

/// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes);

}  // namespace sallyport::policy
