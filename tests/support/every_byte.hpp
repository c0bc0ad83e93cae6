#pragma once
// A text with each of its bytes written in some form.

#include <cstdio>
#include <string>
#include <string_view>

namespace sallyport::test {

/// `format` is for one unsigned char: "%02x", "&#%u;".
inline std::string every_byte(std::string_view text, const char* format) {
    std::string out;
    for (const char c : text) {
        char piece[16];
        std::snprintf(piece, sizeof piece, format, static_cast<unsigned char>(c));
        out += piece;
    }
    return out;
}

}  // namespace sallyport::test
