#pragma once
// How one byte may be written in a text: as it is, percent-encoded (RFC 3986; "+" for a space in forms), behind a
// backslash (JSON, RFC 8259, section 7, and what quotes like it), as a character reference of HTML; what was written so
// once more, as a URL is in another one's query; and what may stand between two of them. Pure.

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace sallyport::secrets {

struct Spellings {
    bool percent = false;
    bool backslash = false;
    bool html = false;
    bool lines = false;  ///< a line may end between two bytes
    bool deep = false;   ///< escapes may be escaped again, and zeros stand between bytes (UTF-16, UTF-32)

    Spellings operator|(Spellings other) const {
        return {percent || other.percent, backslash || other.backslash, html || other.html, lines || other.lines,
                deep || other.deep};
    }
};

/// `length` bytes of the text stand for `byte`.
struct Reading {
    unsigned char byte = 0;
    std::size_t length = 0;

    bool operator==(const Reading&) const = default;
};

struct Readings {
    static constexpr int kDepth = 3;  ///< rounds of unescaping, where they are deep

    std::array<Reading, 1 + kDepth> list;
    std::size_t count = 0;
    bool open = false;  ///< the text ends within what may become one more
};

/// Of what stands at `at`, which is within the text. The byte itself comes first.
Readings readings(std::string_view text, std::size_t at, Spellings);

constexpr bool ends_line(unsigned char byte) { return byte == '\r' || byte == '\n'; }
/// It may be between two bytes of a pattern.
constexpr bool stands_between(unsigned char byte, Spellings spellings) {
    return (spellings.lines && ends_line(byte)) || (spellings.deep && byte == 0);
}
/// How many bytes of the text at `at` are nothing but what may stand between two bytes of a pattern: the end of one
/// line (CR, LF or both, however they are written), and zeros.
std::size_t between(std::string_view text, std::size_t at, Spellings);

/// All but the unreserved characters become "%41".
std::string percent_encoded(std::string_view text);
/// Between the quotes of a JSON string.
std::string json_escaped(std::string_view text);

}  // namespace sallyport::secrets
