#include "gateway/policy/path.hpp"

#include <algorithm>

#include "gateway/policy/uri_text.hpp"

namespace sallyport::policy {

namespace {

/// Layers of percent-encoding that are looked through. Real clients use one, proxies and CI servers at times two.
constexpr int kMaxDecodings = 4;

/// First half of RFC 3986, section 6.2.2: escapes decoded where that is always equivalent, what may not stand raw
/// encoded. False at an escape that is none.
bool canonical_escapes(std::string_view raw, std::string& out) {
    out.reserve(raw.size());
    for (std::size_t i = 0; i < raw.size(); ++i) {
        const auto c = static_cast<unsigned char>(raw[i]);
        if (c != '%') {
            if (is_path_char(c)) out += raw[i];
            else append_escape(out, c);
            continue;
        }
        const auto byte = escape_at(raw, i);
        if (!byte) return false;
        if (is_unreserved(*byte) || *byte == '*') out += static_cast<char>(*byte);
        else append_escape(out, *byte);
        i += 2;
    }
    return true;
}

/// RFC 3986, section 5.2.4, and leading slashes merged.
std::string without_dot_segments(std::string_view path) {
    std::string out;
    out.reserve(path.size());
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at + 1), path.size());
        const std::string_view segment = path.substr(at + 1, end - at - 1);
        const bool dots = segment == "." || segment == "..";
        if (segment == "..") out.erase(std::min(out.rfind('/'), out.size()));
        if (!dots) out.append("/").append(segment);
        if (dots && end == path.size()) out += '/';
        at = end;
    }
    const std::size_t first = std::min(out.find_first_not_of('/'), out.size());
    return "/" + out.substr(first);
}

/// One round of percent-decoding of the escapes that `wanted` accepts; others stay.
template <class Wanted>
std::string decode_once(std::string_view text, Wanted wanted) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = escape_at(text, i);
        if (byte && wanted(*byte)) {
            out += static_cast<char>(*byte);
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

bool shows_dot_segment(std::string_view text) {
    while (true) {
        const std::size_t end = text.find_first_of("/\\");
        std::string_view segment = text.substr(0, end);
        segment = segment.substr(0, segment.find_first_of(";?#"));
        while (segment.ends_with(' ')) segment.remove_suffix(1);
        if (segment == "." || segment == "..") return true;
        if (end == std::string_view::npos) return false;
        text.remove_prefix(end + 1);
    }
}

/// Every reading that an origin could come to by decoding once, twice, ... must be harmless. Null when it is.
const char* find_hidden(std::string_view path) {
    std::string text(path);
    for (int layer = 0; layer <= kMaxDecodings; ++layer) {
        if (std::any_of(text.begin(), text.end(), is_control)) return "the path holds an encoded control character";
        if (!is_utf8(text)) return "the path holds escapes that are not UTF-8";
        if (shows_dot_segment(text)) return "the path hides a dot segment behind encoding or a path parameter";
        std::string next = decode_once(text, [](unsigned char) { return true; });
        if (next == text) return nullptr;
        text = std::move(next);
    }
    return "the path is percent-encoded too many times over";
}

std::string liberal_reading(const std::string& path) {
    if (path.find_first_of("%;") == std::string::npos && path.find("//") == std::string::npos) return path;
    std::string text = path;
    while (true) {
        std::string next = decode_once(text, [](unsigned char c) {
            return is_unreserved(c) || c == '/' || c == '\\' || c == ';' || c == '%' || c == '*';
        });
        if (next == text) break;
        text = std::move(next);
    }
    std::replace(text.begin(), text.end(), '\\', '/');

    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('/', at + 1), text.size());
        std::string_view segment = std::string_view(text).substr(at + 1, end - at - 1);
        segment = segment.substr(0, segment.find(';'));
        if (!segment.empty() || end == text.size()) out += '/';
        for (std::size_t i = 0; i < segment.size(); ++i) {
            if (segment[i] != '%') {
                out += segment[i];
            } else if (const auto byte = escape_at(segment, i)) {
                append_escape(out, *byte);
                i += 2;
            } else {
                append_escape(out, '%');
            }
        }
        at = end;
    }
    return out;
}

bool canonical_query(std::string_view raw, std::string& out, std::string& why) {
    out.reserve(raw.size());
    for (std::size_t i = 0; i < raw.size(); ++i) {
        const auto c = static_cast<unsigned char>(raw[i]);
        if (c == '%') {
            const auto byte = escape_at(raw, i);
            if (!byte || *byte == 0) {
                why = byte ? "the query holds an encoded NUL" : "the query holds an invalid percent escape";
                return false;
            }
        }
        if (c == '%' || c == '?' || is_path_char(c)) out += raw[i];
        else append_escape(out, c);
    }
    return true;
}

const char* find_raw_mistake(std::string_view text) {
    if (text.size() > kMaxTarget) return "the request target is too long";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte == 0x7f) return "the request target holds a space or control character";
        if (byte >= 0x80) return "the request target holds bytes outside ASCII";
        if (byte == '#') return "the request target holds a fragment";
    }
    return nullptr;
}

}  // namespace

std::string Target::to_string() const { return has_query ? path + "?" + query : path; }

std::optional<Target> normalise_target(std::string_view origin_form, std::string& why) {
    if (const char* mistake = find_raw_mistake(origin_form)) {
        why = mistake;
        return std::nullopt;
    }
    if (origin_form == "*") return Target{.path = "*", .query = {}, .has_query = false, .liberal_path = "*"};
    if (!origin_form.starts_with('/')) {
        why = "the request target does not start with \"/\"";
        return std::nullopt;
    }
    const std::size_t mark = origin_form.find('?');
    Target target;
    std::string escaped;
    if (!canonical_escapes(origin_form.substr(0, mark), escaped)) {
        why = "the path holds an invalid percent escape";
        return std::nullopt;
    }
    target.path = without_dot_segments(escaped);
    if (const char* hidden = find_hidden(target.path)) {
        why = hidden;
        return std::nullopt;
    }
    target.liberal_path = liberal_reading(target.path);
    if (mark != std::string_view::npos) {
        target.has_query = true;
        if (!canonical_query(origin_form.substr(mark + 1), target.query, why)) return std::nullopt;
    }
    return target;
}

bool is_utf8(std::string_view bytes) {
    for (std::size_t i = 0; i < bytes.size();) {
        const auto lead = static_cast<unsigned char>(bytes[i++]);
        if (lead < 0x80) continue;
        const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0xc2 || lead > 0xf4 || bytes.size() - i < static_cast<std::size_t>(more)) return false;
        char32_t code = lead & (0x3f >> more);
        for (int k = 0; k < more; ++k) {
            const auto next = static_cast<unsigned char>(bytes[i++]);
            if ((next & 0xc0) != 0x80) return false;
            code = (code << 6) | (next & 0x3f);
        }
        if ((more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10ffff))) return false;
        if (code >= 0xd800 && code <= 0xdfff) return false;
    }
    return true;
}

}  // namespace sallyport::policy
