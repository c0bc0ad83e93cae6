#include "gateway/wire/detect.hpp"

#include <algorithm>
#include <string_view>

namespace sallyport::wire {
namespace {

constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kMaxMethod = 32;  // the longest registered one has 17

bool common_prefix(std::string_view a, std::string_view b) {
    const auto length = std::min(a.size(), b.size());
    return a.substr(0, length) == b.substr(0, length);
}

/// RFC 9110, section 5.6.2.
bool token_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool visible(char c) { return c > ' ' && c < 0x7f; }

Protocol detect_tls(std::string_view bytes) {
    if (bytes.size() > 1 && bytes[1] != 3) return Protocol::other;
    if (bytes.size() > 2 && static_cast<std::uint8_t>(bytes[2]) > 4) return Protocol::other;
    return bytes.size() > 2 ? Protocol::tls : Protocol::need_more;
}

Protocol detect_http1(std::string_view bytes) {
    const auto method = std::find_if_not(bytes.begin(), bytes.end(), token_character) - bytes.begin();
    if (static_cast<std::size_t>(method) > kMaxMethod) return Protocol::other;
    auto rest = bytes.substr(static_cast<std::size_t>(method));
    if (rest.empty()) return Protocol::need_more;
    if (method == 0 || rest[0] != ' ') return Protocol::other;
    rest.remove_prefix(1);

    const auto target = std::find_if_not(rest.begin(), rest.end(), visible) - rest.begin();
    rest.remove_prefix(static_cast<std::size_t>(target));
    if (bytes.size() - rest.size() > kMaxRequestLine) return Protocol::other;
    if (rest.empty()) return Protocol::need_more;
    constexpr std::string_view kVersion = " HTTP/1.";
    if (target == 0 || !common_prefix(rest, kVersion)) return Protocol::other;
    return rest.size() >= kVersion.size() ? Protocol::http1 : Protocol::need_more;
}

}  // namespace

Protocol detect(std::span<const std::uint8_t> prefix) {
    if (prefix.empty()) return Protocol::need_more;
    const std::string_view bytes(reinterpret_cast<const char*>(prefix.data()), prefix.size());
    if (prefix[0] == 0x16) return detect_tls(bytes);
    if (common_prefix(bytes, kHttp2Preface))
        return bytes.size() >= kHttp2Preface.size() ? Protocol::http2_preface : Protocol::need_more;
    // No request line says HTTP/2.0, so a preface that goes wrong after its first line falls through to `other`.
    return detect_http1(bytes);
}

}  // namespace sallyport::wire
