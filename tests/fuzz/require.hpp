#pragma once
// What fuzz targets demand, and how they take their input.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace sallyport::fuzz {

inline void require(bool condition) {
    if (!condition) std::abort();
}

inline std::string_view text(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// Cuts a line off the front, without its line feed.
inline std::string_view take_line(std::string_view& input) {
    const auto end = std::min(input.find('\n'), input.size());
    const auto line = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
    return line;
}

inline bool printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

}  // namespace sallyport::fuzz
