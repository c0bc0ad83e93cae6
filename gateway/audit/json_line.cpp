#include "gateway/audit/json_line.hpp"

#include <utility>

namespace sallyport::audit {
namespace {

constexpr std::uint32_t kReplacement = 0xfffd;

void append_unit(std::string& out, std::uint32_t unit) {
    constexpr char kHex[] = "0123456789abcdef";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += kHex[unit >> shift & 0xf];
}

void append_code_point(std::string& out, std::uint32_t point) {
    if (point < 0x10000) return append_unit(out, point);
    append_unit(out, 0xd800 + ((point - 0x10000) >> 10));
    append_unit(out, 0xdc00 + ((point - 0x10000) & 0x3ff));
}

/// Takes one UTF-8 sequence (RFC 3629: shortest form, no surrogates, up to U+10FFFF) or one bad byte off `text`.
std::uint32_t take_code_point(std::string_view& text) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = byte(0);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    std::uint32_t point = length < 2 ? lead : lead & (0x7fu >> length);
    bool valid = length > 0 && length <= text.size();
    for (std::size_t i = 1; valid && i < length; ++i) {
        valid = (byte(i) & 0xc0) == 0x80;
        point = point << 6 | (byte(i) & 0x3fu);
    }
    if (length == 3) valid = valid && point >= 0x800 && (point < 0xd800 || point > 0xdfff);
    if (length == 4) valid = valid && point >= 0x10000 && point <= 0x10ffff;
    text.remove_prefix(valid ? length : 1);
    return valid ? point : kReplacement;
}

/// Mostly runs of what stays as it is.
void append_escaped(std::string& out, std::string_view text) {
    const auto plain = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
    while (!text.empty()) {
        std::size_t run = 0;
        while (run < text.size() && plain(text[run])) ++run;
        out.append(text, 0, run);
        text.remove_prefix(run);
        if (text.empty()) return;
        const auto point = take_code_point(text);
        if (point == '"' || point == '\\') out.append(1, '\\').append(1, static_cast<char>(point));
        else append_code_point(out, point);
    }
}

}  // namespace

std::string json_escape(std::string_view text) {
    std::string out;
    append_escaped(out, text);
    return out;
}

void JsonLine::key(std::string_view name) {
    out_ += std::exchange(before_, ',');
    out_.append("\"").append(name).append("\":");
}

void JsonLine::quoted(std::string_view value) {
    out_ += '"';
    append_escaped(out_, value.substr(0, kMaxText));
    out_ += '"';
}

JsonLine& JsonLine::text(std::string_view name, std::string_view value) {
    key(name);
    quoted(value);
    if (value.size() > kMaxText) number(std::string(name) + "_length", value.size());
    return *this;
}

JsonLine& JsonLine::optional_text(std::string_view name, std::string_view value) {
    return value.empty() ? *this : text(name, value);
}

JsonLine& JsonLine::number(std::string_view name, std::uint64_t value) {
    key(name);
    out_ += std::to_string(value);
    return *this;
}

JsonLine& JsonLine::boolean(std::string_view name, bool value) {
    key(name);
    out_ += value ? "true" : "false";
    return *this;
}

JsonLine& JsonLine::texts(std::string_view name, const std::vector<std::string>& values) {
    key(name);
    char separator = '[';
    for (const auto& value : values) {
        out_ += std::exchange(separator, ',');
        quoted(value);
    }
    out_ += values.empty() ? "[]" : "]";
    return *this;
}

void JsonLine::finish() { out_.append(before_ == '{' ? "{}\n" : "}\n"); }

}  // namespace sallyport::audit
