#pragma once
// Base64 (RFC 4648, section 4) for HTTP Basic credentials. Pure.

#include <optional>
#include <string>
#include <string_view>

namespace sallyport::secrets {

std::string base64_encode(std::string_view bytes);
/// Lenient, as servers are: padding may be missing, the URL-safe alphabet is taken too. nullopt for anything else.
std::optional<std::string> base64_decode(std::string_view text);

inline constexpr unsigned kNoBase64Digit = 64;
/// 0 to 63 in either alphabet, or kNoBase64Digit.
unsigned base64_digit(char c);
char base64_character(unsigned digit);

}  // namespace sallyport::secrets
