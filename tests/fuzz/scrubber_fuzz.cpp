// A response on its way back: however it is cut, what comes out is what comes of the whole; none of the forms of a
// secret that have a name is in it. Input: two bytes that say where to cut, then the response; "{s}" stands for the
// secret in it, "{p}", "{j}", "{h}", "{x}" and "{b}" for its encoded forms, "{m}" and "{l}" for Base64 in lines.

#include "gateway/secrets/base64.hpp"
#include "gateway/secrets/scrubber.hpp"
#include "gateway/secrets/spelling.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/support/vault.hpp"

using namespace sallyport;
using fuzz::require;

namespace {

constexpr std::string_view kShort = "k3y/\"&x";  // nothing of it may go before it is known
constexpr std::string_view kLong = "r3al+va1ue=with/\"quotes\"%41&more";

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string every_byte(std::string_view text, const char* format) {
    std::string out;
    for (const char c : text) {
        char piece[16];
        std::snprintf(piece, sizeof piece, format, static_cast<unsigned char>(c));
        out += piece;
    }
    return out;
}

/// Whether some Base64 in `text` holds `value`, `before` bytes behind the beginning of a group of three.
bool holds_base64(std::string_view text, std::string_view value, std::size_t before) {
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
std::string joined(std::string_view text) {
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

std::string in_lines(std::string_view text, std::size_t columns, std::string_view end) {
    std::string out;
    for (; !text.empty(); text.remove_prefix(std::min(columns, text.size())))
        out.append(text.substr(0, columns)).append(end);
    return out;
}

std::string filled_in(std::string_view text, std::string_view value) {
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
            case 'm':
                out += in_lines(secrets::base64_encode("some text: " + std::string(value) + " more"), 20, "\r\n");
                break;
            case 'l':
                out += in_lines(secrets::base64_encode("text: " + std::string(value)), 7, "\\n");
                break;
            default:
                out += text.substr(0, 3);
        }
        text.remove_prefix(2);
    }
    return out;
}

std::string scrubbed(const secrets::HostSecrets& secrets, std::string_view text, std::size_t first, std::size_t piece) {
    auto replacer = secrets::scrubber(secrets.bound);
    std::string out;
    for (std::size_t size = first; !text.empty(); size = piece) {
        const auto part = text.substr(0, std::max<std::size_t>(size, 1));
        text.remove_prefix(part.size());
        replacer.put(part, out);
        require(replacer.held() <= 50 * kLong.size());  // four thirds, each with twelve bytes and a line's end of more
    }
    replacer.finish(out);
    require(replacer.held() == 0);
    return out;
}

void require_none(std::string_view out, std::string_view value) {
    const auto text = lower(out);
    for (const auto& form :
         {std::string(value), secrets::percent_encoded(value), secrets::json_escaped(value), every_byte(value, "&#%u;"),
          every_byte(value, "%02x"), every_byte(value, "\\u%04x"), every_byte(value, "%%%02x")})
        require(text.find(lower(form)) == text.npos);
    for (std::size_t before = 0; before < 3; ++before) {
        require(!holds_base64(out, value, before));
        require(!holds_base64(joined(out), value, before));
    }
}

test::Vault vault(std::string_view value, const char* placeholder) {
    test::Vault made;
    auto& rule = made.bind("s", std::string(value));
    if (placeholder) rule.placeholder = placeholder;
    return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto kShortVault = vault(kShort, nullptr);
    static const auto kLongVault = vault(kLong, "sk-placeholder-1");
    if (size < 2 || size > 8192) return 0;
    const auto input = fuzz::text(data + 2, size - 2);

    const auto text = filled_in(input, kShort);
    const auto whole = scrubbed(kShortVault.secrets, text, text.size(), 1);
    require(scrubbed(kShortVault.secrets, text, data[0], data[1]) == whole &&
            scrubbed(kShortVault.secrets, text, 1, 1) == whole);
    require_none(whole, kShort);

    const auto long_text = filled_in(input, kLong);
    require_none(scrubbed(kLongVault.secrets, long_text, long_text.size(), 1), kLong);
    require_none(scrubbed(kLongVault.secrets, long_text, data[0], data[1]), kLong);
    return 0;
}
