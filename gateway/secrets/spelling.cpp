#include "gateway/secrets/spelling.hpp"

#include <algorithm>
#include <utility>

#include "gateway/policy/uri_text.hpp"

namespace sallyport::secrets {
namespace {

using policy::hex_digit;

constexpr std::size_t kMaxReference = 8;  // of digits, leading zeros among them

/// Sets `open` when the text ends before it is known.
struct Found {
    unsigned char byte = 0;
    std::size_t length = 0;  ///< 0: nothing is written so
    bool open = false;
};

constexpr Found kOpen{0, 0, true};

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// `digits` hexadecimal ones behind `skip` bytes.
Found hexadecimal(std::string_view text, std::size_t skip, std::size_t digits) {
    unsigned value = 0;
    for (std::size_t i = skip; i < skip + digits; ++i) {
        if (i == text.size()) return kOpen;
        const int digit = hex_digit(text[i]);
        if (digit < 0) return {};
        value = value << 4 | static_cast<unsigned>(digit);
    }
    if (value > 0xff) return {};
    return {static_cast<unsigned char>(value), skip + digits, false};
}

Found behind_backslash(std::string_view text) {
    if (text.size() < 2) return kOpen;
    if (text[1] == 'u') return hexadecimal(text, 2, 4);
    if (text[1] == 'x') return hexadecimal(text, 2, 2);
    if (text[1] == 'n') return {'\n', 2, false};
    if (text[1] == 'r') return {'\r', 2, false};
    if (is_alphanumeric(text[1])) return {};
    return {static_cast<unsigned char>(text[1]), 2, false};
}

/// "&#38;" and "&#x26;".
Found numeric_reference(std::string_view text) {
    std::size_t at = 2;
    const bool is_hex = at < text.size() && (text[at] == 'x' || text[at] == 'X');
    if (is_hex) ++at;
    unsigned value = 0;
    for (const std::size_t first = at; at < text.size(); ++at) {
        if (text[at] == ';') return {static_cast<unsigned char>(value), at > first ? at + 1 : 0, false};
        const int digit = hex_digit(text[at]);
        if (digit < 0 || (!is_hex && digit > 9) || at - first == kMaxReference) return {};
        value = value * (is_hex ? 16 : 10) + static_cast<unsigned>(digit);
        if (value > 0xff) return {};
    }
    return kOpen;
}

Found reference(std::string_view text) {
    static constexpr std::pair<std::string_view, char> kNamed[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    if (text.starts_with("&#")) return numeric_reference(text);
    for (const auto& [name, byte] : kNamed) {
        if (text.starts_with(name)) return {static_cast<unsigned char>(byte), name.size(), false};
        if (name.starts_with(text)) return kOpen;
    }
    return {};
}

}  // namespace

Readings readings(std::string_view text, std::size_t at, Spellings spellings) {
    const char c = text[at];
    Readings result{{{{static_cast<unsigned char>(c), 1}, {}}}, 1, false};
    Found other;
    if (c == '%' && spellings.percent) other = hexadecimal(text.substr(at), 1, 2);
    else if (c == '+' && spellings.percent) other = {' ', 1, false};
    else if (c == '\\' && spellings.backslash) other = behind_backslash(text.substr(at));
    else if (c == '&' && spellings.html) other = reference(text.substr(at));
    if (other.length > 0) result.list[result.count++] = {other.byte, other.length};
    result.open = other.open;
    return result;
}

std::size_t line_end(std::string_view text, std::size_t at, Spellings spellings) {
    const auto length_of = [&](std::size_t place, unsigned char byte) -> std::size_t {
        if (place >= text.size()) return 0;
        const auto read = readings(text, place, spellings);
        for (std::size_t r = 0; r < read.count; ++r)
            if (read.list[r].byte == byte) return read.list[r].length;
        return 0;
    };
    const auto cr = length_of(at, '\r');
    return cr + length_of(at + cr, '\n');
}

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (policy::is_unreserved(byte)) out += c;
        else policy::append_escape(out, byte);
    }
    return out;
}

std::string json_escaped(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20) {
            out += "\\u00";
            out += {kHex[byte >> 4], kHex[byte & 15]};
            continue;
        }
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

}  // namespace sallyport::secrets
