#pragma once
// What must not be in a response that was searched for secrets; and texts that hold them. "{s}" stands for the secret,
// "{p}", "{j}", "{h}", "{x}" and "{b}" for its encoded forms, "{m}" and "{l}" for Base64 in lines, "{d}" for
// two in one, "{n}" for what is nearly one, "{q}" and "{i}" for what is escaped twice, "{w}" for UTF-16.

#include <algorithm>
#include <string>
#include <string_view>

#include "gateway/secrets/base64.hpp"
#include "gateway/secrets/scrubber.hpp"
#include "gateway/secrets/spelling.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/support/every_byte.hpp"
#include "tests/support/vault.hpp"

namespace sallyport::fuzz {

using test::every_byte;

inline constexpr std::string_view kShort = "k3y/\"&x";  // nothing of it may go before it is known
inline constexpr std::string_view kLong = "r3al+va1ue=with/\"quotes\"%41&more";

inline std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// Whether some Base64 in `text` holds `value`, `before` bytes behind the beginning of a group of three.
inline bool holds_base64(std::string_view text, std::string_view value, std::size_t before) {
    const auto all = secrets::base64_encode(std::string(before, 'x') + std::string(value));
    const std::size_t begin = before * 8 / 6;  // of the characters that hold bits of the value
    const std::size_t size = ((before + value.size()) * 8 + 5) / 6 - begin;
    const std::size_t shared = before * 8 % 6 ? 1 : 0;  // the first one, with what stands before
    const auto core = all.substr(begin + shared, (before + value.size()) * 8 / 6 - begin - shared);
    for (auto at = text.find(core); at != text.npos; at = text.find(core, at + 1)) {
        if (at < shared || text.size() - (at - shared) < size) continue;
        auto group = std::string(begin, 'A').append(text.substr(at - shared, size));
        while (group.size() % 4 != 0) group += 'A';
        const auto bytes = secrets::base64_decode(group);
        if (bytes && std::string_view(*bytes).substr(before).starts_with(value)) return true;
    }
    return false;
}

/// Without the ends of lines; where two stand together there is something between the lines.
inline std::string joined(std::string_view text) {
    static constexpr std::string_view kEnds[][2] = {{"\r", "\n"}, {"\\r", "\\n"}, {"%0d", "%0a"}, {"%0D", "%0A"}};
    const auto length_of_end = [](std::string_view at) {
        std::size_t length = 0;
        for (const std::size_t which : {0, 1})
            for (const auto& end : kEnds)
                if (at.substr(length).starts_with(end[which])) {
                    length += end[which].size();
                    break;
                }
        return length;
    };
    std::string out;
    while (!text.empty()) {
        const auto end = length_of_end(text);
        if (end > 0 && length_of_end(text.substr(end)) > 0) out += ' ';
        if (end == 0) out += text[0];
        text.remove_prefix(std::max<std::size_t>(end, 1));
    }
    return out;
}

inline std::string in_lines(std::string_view text, std::size_t columns, std::string_view end) {
    std::string out;
    for (; !text.empty(); text.remove_prefix(std::min(columns, text.size())))
        out.append(text.substr(0, columns)).append(end);
    return out;
}

inline std::string wide(std::string_view text) {
    std::string out;
    for (const char c : text) out += {c, '\0'};
    return out;
}

inline std::string filled_in(std::string_view text, std::string_view value) {
    std::string out;
    for (; !text.empty(); text.remove_prefix(1)) {
        if (text.size() < 3 || text[0] != '{' || text[2] != '}') {
            out += text[0];
            continue;
        }
        switch (text[1]) {
            case 's':
                out += value;
                break;
            case 'p':
                out += secrets::percent_encoded(value);
                break;
            case 'j':
                out += secrets::json_escaped(value);
                break;
            case 'h':
                out += every_byte(value, "&#%u;");
                break;
            case 'x':
                out += every_byte(value, "%02x");
                break;
            case 'b':
                out += secrets::base64_encode("u:" + std::string(value));
                break;
            case 'd':
                out += secrets::base64_encode(std::string(value) + std::string(value));
                break;
            case 'm':
                out += in_lines(secrets::base64_encode("some text: " + std::string(value) + " more"), 20, "\r\n");
                break;
            case 'l':
                out += in_lines(secrets::base64_encode("text: " + std::string(value)), 7, "\\n");
                break;
            case 'q':
                out += secrets::percent_encoded(secrets::percent_encoded(value));
                break;
            case 'i':
                out += secrets::json_escaped(secrets::json_escaped(value));
                break;
            case 'w':
                out += wide(value);
                break;
            case 'n':
                out += value.substr(0, value.size() * 3 / 4);
                break;
            default:
                out += text.substr(0, 3);
        }
        text.remove_prefix(2);
    }
    return out;
}

inline void require_none(std::string_view out, std::string_view value) {
    const auto text = lower(out);
    for (const auto& form :
         {std::string(value), secrets::percent_encoded(value), secrets::json_escaped(value), every_byte(value, "&#%u;"),
          every_byte(value, "%02x"), every_byte(value, "\\u%04x"), every_byte(value, "%%%02x"),
          secrets::percent_encoded(secrets::percent_encoded(value)),
          secrets::json_escaped(secrets::json_escaped(value)), wide(value).substr(0, 2 * value.size() - 1)})
        require(text.find(lower(form)) == text.npos);
    for (std::size_t before = 0; before < 3; ++before) {
        require(!holds_base64(out, value, before));
        require(!holds_base64(joined(out), value, before));
    }
}

/// `placeholder` ends in other bits than the values begin with, or a part of a value behind it would seem to be whole.
inline test::Vault vault(std::string_view value, const char* placeholder) {
    test::Vault made;
    auto& rule = made.bind("s", std::string(value));
    rule.placeholder = placeholder;
    return made;
}

}  // namespace sallyport::fuzz
