#include "gateway/secrets/spelling.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "gateway/policy/uri_text.hpp"

namespace sallyport::secrets {
namespace {

using policy::hex_digit;

constexpr std::size_t kMaxReference = 8;  // of digits, leading zeros among them
constexpr std::size_t kMaxLength = 24;    // of one byte, whatever it was escaped by

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool may_escape(char c, Spellings spellings) {
    return (spellings.percent && (c == '%' || c == '+')) || (spellings.backslash && c == '\\') ||
           (spellings.html && c == '&');
}

/// Behind a backslash it is itself to a shell, but not to those whose escapes are escaped in turn: "\&quot;".
bool begins_other(char c, Spellings spellings) { return c != '\\' && may_escape(c, spellings); }

/// Reads a text as it is after some rounds of unescaping.
class Unescaped {
public:
    Unescaped(std::string_view text, std::size_t at, int rounds, Spellings spellings)
        : text_(text), at_(at), rounds_(rounds), spellings_(spellings) {}

    /// Nothing where the text ends, be it within what may become an escape: then it is open.
    std::optional<char> next() {
        if (open_ || at_ == text_.size()) return ended();
        if (rounds_ == 0) return text_[at_++];
        Unescaped before(text_, at_, rounds_ - 1, spellings_);
        const auto first = before.next();
        if (!first) return ended();
        at_ = before.at_;
        if (!may_escape(*first, spellings_)) return first;
        const auto meant = before.escaped(*first);
        if (before.open_) return ended();
        if (meant) at_ = before.at_;
        return meant ? meant : first;
    }
    std::size_t at() const { return at_; }
    bool open() const { return open_; }

private:
    using Byte = std::optional<char>;

    Byte ended() {
        open_ = true;
        return {};
    }

    Byte escaped(char first) {
        if (first == '%') return hexadecimal(2);
        if (first == '+') return ' ';
        return first == '&' ? reference() : behind_backslash();
    }

    Byte hexadecimal(int digits) {
        unsigned value = 0;
        for (int i = 0; i < digits; ++i) {
            const auto c = next();
            const int digit = c ? hex_digit(*c) : -1;
            if (digit < 0) return {};
            value = value << 4 | static_cast<unsigned>(digit);
        }
        if (value > 0xff) return {};
        return static_cast<char>(value);
    }

    Byte behind_backslash() {
        const auto c = next();
        if (!c) return {};
        if (*c == 'u') return hexadecimal(4);
        if (*c == 'x') return hexadecimal(2);
        if (*c == 'n') return '\n';
        if (*c == 'r') return '\r';
        if (is_alphanumeric(*c) || begins_other(*c, spellings_)) return {};
        return c;
    }

    Byte reference() {
        static constexpr std::pair<std::string_view, char> kNamed[] = {
            {"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};
        std::string name;
        for (auto c = next(); c; c = next()) {
            name += *c;
            if (name == "#") return numeric_reference();
            bool any = false;
            for (const auto& [known, byte] : kNamed) {
                if (name == known) return byte;
                any = any || known.starts_with(name);
            }
            if (!any) break;
        }
        return {};
    }

    /// "&#38;" and "&#x26;".
    Byte numeric_reference() {
        auto c = next();
        const bool is_hex = c == 'x' || c == 'X';
        if (is_hex) c = next();
        unsigned value = 0;
        for (std::size_t digits = 0; c; c = next(), ++digits) {
            if (*c == ';' && digits > 0) return static_cast<char>(value);
            const int digit = hex_digit(*c);
            if (digit < 0 || (!is_hex && digit > 9) || digits == kMaxReference) return {};
            value = value * (is_hex ? 16 : 10) + static_cast<unsigned>(digit);
            if (value > 0xff) return {};
        }
        return {};
    }

    std::string_view text_;
    std::size_t at_;
    int rounds_;
    Spellings spellings_;
    bool open_ = false;
};

}  // namespace

Readings readings(std::string_view text, std::size_t at, Spellings spellings) {
    Readings result;
    result.list[result.count++] = {static_cast<unsigned char>(text[at]), 1};
    if (!may_escape(text[at], spellings)) return result;
    const auto near = text.substr(0, at + kMaxLength);
    if (text[at] == '\\' && at + 1 < text.size() && begins_other(text[at + 1], spellings))
        result.list[result.count++] = {static_cast<unsigned char>(text[at + 1]), 2};
    for (int rounds = 1; rounds <= (spellings.deep ? Readings::kDepth : 1); ++rounds) {
        Unescaped unescaped(near, at, rounds, spellings);
        const auto byte = unescaped.next();
        result.open = result.open || (unescaped.open() && near.size() == text.size());
        if (!byte) break;
        const Reading read{static_cast<unsigned char>(*byte), unescaped.at() - at};
        const auto end = result.list.begin() + static_cast<std::ptrdiff_t>(result.count);
        if (std::find(result.list.begin(), end, read) == end) result.list[result.count++] = read;
        if (!may_escape(*byte, spellings)) break;  // it is the same in every further round
    }
    return result;
}

std::size_t between(std::string_view text, std::size_t at, Spellings spellings) {
    constexpr std::size_t kMostZeros = 3;
    std::size_t end = at;
    while (spellings.deep && end < text.size() && text[end] == 0 && end - at < kMostZeros) ++end;
    const auto skip = [&](unsigned char byte) {
        if (end == text.size()) return;
        const auto read = readings(text, end, spellings);
        for (std::size_t r = 0; r < read.count; ++r)
            if (read.list[r].byte == byte) {
                end += read.list[r].length;
                return;
            }
    };
    if (spellings.lines) skip('\r'), skip('\n');
    return end - at;
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
