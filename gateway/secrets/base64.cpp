#include "gateway/secrets/base64.hpp"

#include <cstdint>

namespace sallyport::secrets {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// 0 to 63, or 64 for a character that is not of the alphabet.
std::uint32_t digit(char c) {
    if (c == '-') return 62;
    if (c == '_') return 63;
    const auto place = kAlphabet.find(c);
    return place == std::string_view::npos ? 64 : static_cast<std::uint32_t>(place);
}

}  // namespace

std::string base64_encode(std::string_view bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (; !bytes.empty(); bytes.remove_prefix(bytes.size() < 3 ? bytes.size() : 3)) {
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = group << 8 | (i < bytes.size() ? static_cast<std::uint8_t>(bytes[i]) : 0u);
        for (std::size_t i = 0; i < 4; ++i) out += i <= bytes.size() ? kAlphabet[group >> (18 - 6 * i) & 63] : '=';
    }
    return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
    while (!text.empty() && text.back() == '=') text.remove_suffix(1);
    if (text.size() % 4 == 1) return std::nullopt;
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const auto value = digit(c);
        if (value == 64) return std::nullopt;
        bits = (bits << 6 | value) & 0xffff;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out += static_cast<char>(bits >> count & 0xff);
    }
    return out;
}

}  // namespace sallyport::secrets
