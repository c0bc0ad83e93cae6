#pragma once
// How one byte may be written in a text: as it is, percent-encoded (RFC 3986; "+" for a space in forms), behind a
// backslash (JSON, RFC 8259, section 7, and what quotes like it), as a character reference of HTML; and what may stand
// between two of them. Pure.

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

    Spellings operator|(Spellings other) const {
        return {percent || other.percent, backslash || other.backslash, html || other.html, lines || other.lines};
    }
};

/// `length` bytes of the text stand for `byte`.
struct Reading {
    unsigned char byte = 0;
    std::size_t length = 0;
};

struct Readings {
    std::array<Reading, 2> list;
    std::size_t count = 0;
    bool open = false;  ///< the text ends within what may become one more
};

/// Of what stands at `at`, which is within the text. The byte itself comes first.
Readings readings(std::string_view text, std::size_t at, Spellings);

constexpr bool ends_line(unsigned char byte) { return byte == '\r' || byte == '\n'; }
/// How many bytes of the text end one line at `at` (CR, LF or both, however they are written); 0: none does.
std::size_t line_end(std::string_view text, std::size_t at, Spellings);

/// All but the unreserved characters become "%41".
std::string percent_encoded(std::string_view text);
/// Between the quotes of a JSON string.
std::string json_escaped(std::string_view text);

}  // namespace sallyport::secrets
