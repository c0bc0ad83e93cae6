#include "gateway/session/readable_response.hpp"

#include <string>
#include <string_view>

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

}  // namespace

void ask_for_readable(wire::Fields& request) {
    limit_codings(request);
    for (const auto name : {"Range", "If-Range", "Sec-WebSocket-Extensions"}) wire::erase(request, name);
    for (const auto name : {"grpc-accept-encoding", "connect-accept-encoding"})
        if (wire::count(request, name) > 0) wire::set(request, name, kIdentity);
}

Result<std::optional<http::Coding>> readable_coding(const wire::Fields& response) {
    std::optional<http::Coding> coding;
    bool readable = true;
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
