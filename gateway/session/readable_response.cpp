#include "gateway/session/readable_response.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "gateway/policy/uri_text.hpp"

namespace sallyport::session {
namespace {

constexpr std::string_view kAcceptEncoding = "Accept-Encoding";
constexpr std::string_view kIdentity = "identity";

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Calls `visit` with each element of the lists that fields of that name hold.
template <class Visit>
void each_element(const wire::Fields& fields, std::string_view name, Visit visit) {
    for (const auto& field : fields) {
        if (!wire::equal_ignoring_case(field.name, name)) continue;
        for (std::string_view rest = field.value;;) {
            const auto comma = rest.find(',');
            if (const auto element = trimmed(rest.substr(0, comma)); !element.empty()) visit(element);
            if (comma == std::string_view::npos) break;
            rest.remove_prefix(comma + 1);
        }
    }
}

/// An origin may take any coding where nothing is said, or "*": few do, and what we cannot read is refused then.
void limit_codings(wire::Fields& request) {
    if (wire::count(request, kAcceptEncoding) == 0) return;
    std::string known;
    each_element(request, kAcceptEncoding, [&](std::string_view element) {
        const auto token = trimmed(element.substr(0, element.find(';')));
        if (!http::coding_named(token) && !wire::equal_ignoring_case(token, kIdentity)) return;
        known += (known.empty() ? "" : ", ") + std::string(element);
    });
    wire::set(request, kAcceptEncoding, known.empty() ? std::string(kIdentity) : known);
}

/// Whoever asks may choose it (Accept, Accept-Charset): one in which letters of ASCII are other bytes hides a value.
bool has_readable_charset(const wire::Fields& response) {
    static constexpr std::string_view kLikeAscii[] = {
        "utf-8",    "utf8",      "us-ascii",  "ascii",   "iso-8859-", "iso8859-",  "latin",
        "windows-", "cp125",     "koi8-",     "gb2312",  "gb18030",   "gbk",       "big5",
        "euc-",     "shift_jis", "sjis",      "tis-620", "iso-2022-", "macintosh", "binary",
        "ibm866",   "cp866",     "ks_c_5601", "x-mac-",  "x-sjis",    "x-gbk",     "x-euc-"};
    bool readable = true;
    for (const auto& field : response) {
        if (!wire::equal_ignoring_case(field.name, "Content-Type")) continue;
        std::string type;
        for (const char c : field.value) type += policy::ascii_lower(c);
        for (auto at = type.find("charset"); at != type.npos; at = type.find("charset", at + 1)) {
            const auto begin = type.find_first_not_of(" \t=\"'", at + 7);
            auto name = std::string_view(type).substr(std::min(begin, type.size()));
            name = name.substr(0, name.find_first_of(";,\"' \t"));
            const auto is_known = [&](std::string_view known) { return name.starts_with(known); };
            readable = readable && (name.empty() || std::ranges::any_of(kLikeAscii, is_known));
        }
    }
    return readable;
}

}  // namespace

void ask_for_readable(wire::Fields& request) {
    limit_codings(request);
    // Request-Range: Apache still knows it; A-IM: RFC 3229.
    for (const auto name : {"Range", "Request-Range", "If-Range", "A-IM", "Sec-WebSocket-Extensions"})
        wire::erase(request, name);
    for (const auto name : {"grpc-accept-encoding", "connect-accept-encoding"})
        if (wire::count(request, name) > 0) wire::set(request, name, kIdentity);
}

Result<std::optional<http::Coding>> readable_coding(const wire::Fields& response) {
    std::optional<http::Coding> coding;
    bool readable = has_readable_charset(response);
    each_element(response, "Content-Encoding", [&](std::string_view token) {
        if (wire::equal_ignoring_case(token, kIdentity)) return;
        readable = readable && !coding;
        coding = http::coding_named(token);
        readable = readable && coding;
    });
    for (const auto name : {"grpc-encoding", "connect-content-encoding"})
        each_element(response, name, [&](std::string_view token) { readable = readable && token == kIdentity; });
    if (!readable)
        return Error{ErrorKind::malformed,
                     "the response is in an encoding in which secrets cannot be found: it is withheld"};
    return coding;
}

void remove_digests(wire::Fields& fields) {
    for (const auto name : {"Content-Digest", "Repr-Digest", "Digest", "Content-MD5"}) wire::erase(fields, name);
}

}  // namespace sallyport::session
