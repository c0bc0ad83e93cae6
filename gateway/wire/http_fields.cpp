#include "gateway/wire/http_fields.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace sallyport::wire {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Calls `visit` with each element of a comma-separated list until it returns true.
template <class Visit>
bool any_element(std::string_view list, Visit visit) {
    while (!list.empty()) {
        const auto comma = list.find(',');
        if (const auto element = trim(list.substr(0, comma)); !element.empty() && visit(element)) return true;
        if (comma == std::string_view::npos) return false;
        list.remove_prefix(comma + 1);
    }
    return false;
}

/// What a message cannot do without, even if its sender lists it in Connection (an attack on our own checks).
bool is_protected(std::string_view name) {
    return equal_ignoring_case(name, "Host") || equal_ignoring_case(name, "Content-Length");
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

bool same_to_cgi(std::string_view a, std::string_view b) {
    const auto as_there = [](char c) { return c == '-' ? '_' : lower(c); };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return as_there(x) == as_there(y); });
}

std::size_t count(const Fields& fields, std::string_view name) {
    return static_cast<std::size_t>(
        std::count_if(fields.begin(), fields.end(), [&](const Field& f) { return equal_ignoring_case(f.name, name); }));
}

std::optional<std::string_view> find(const Fields& fields, std::string_view name) {
    for (const Field& field : fields)
        if (equal_ignoring_case(field.name, name)) return field.value;
    return std::nullopt;
}

void erase(Fields& fields, std::string_view name) {
    std::erase_if(fields, [&](const Field& f) { return equal_ignoring_case(f.name, name); });
}

void set(Fields& fields, std::string_view name, std::string_view value, bool sensitive) {
    const auto same = [&](const Field& f) { return equal_ignoring_case(f.name, name); };
    const auto first = std::find_if(fields.begin(), fields.end(), same);
    if (first == fields.end()) {
        fields.push_back({std::string(name), std::string(value), sensitive});
        return;
    }
    first->value = value;
    first->sensitive = sensitive;
    fields.erase(std::remove_if(first + 1, fields.end(), same), fields.end());
}

bool has_token(const Fields& fields, std::string_view name, std::string_view token) {
    return std::any_of(fields.begin(), fields.end(), [&](const Field& field) {
        return equal_ignoring_case(field.name, name) &&
               any_element(field.value, [&](std::string_view e) { return equal_ignoring_case(e, token); });
    });
}

void remove_connection_fields(Fields& fields) {
    std::vector<std::string> named;
    for (const Field& field : fields)
        if (equal_ignoring_case(field.name, "Connection"))
            any_element(field.value, [&](std::string_view element) {
                if (!is_protected(element)) named.emplace_back(element);
                return false;
            });
    std::erase_if(fields, [&](const Field& field) {
        static constexpr std::string_view kAlways[] = {
            "Connection", "Keep-Alive", "Proxy-Connection",  "Proxy-Authorization",
            "TE",         "Upgrade",    "Transfer-Encoding", "HTTP2-Settings"};
        const auto is_field = [&](std::string_view name) { return equal_ignoring_case(field.name, name); };
        return std::any_of(std::begin(kAlways), std::end(kAlways), is_field) ||
               std::any_of(named.begin(), named.end(), is_field);
    });
}

bool is_credential(std::string_view name) {
    static constexpr std::array<std::string_view, 6> kCredentials{"Authorization", "X-Api-Key",     "Api-Key",
                                                                  "X-Auth-Token",  "Private-Token", "X-Goog-Api-Key"};
    return std::any_of(kCredentials.begin(), kCredentials.end(),
                       [&](std::string_view known) { return same_to_cgi(name, known); });
}

bool may_be_trailer(std::string_view name) {
    static constexpr std::array<std::string_view, 24> kForbidden{"Host",
                                                                 "Content-Length",
                                                                 "Transfer-Encoding",
                                                                 "Connection",
                                                                 "TE",
                                                                 "Trailer",
                                                                 "Upgrade",
                                                                 "Cookie",
                                                                 "Set-Cookie",
                                                                 "Content-Type",
                                                                 "Content-Encoding",
                                                                 "Content-Range",
                                                                 "Cache-Control",
                                                                 "Expect",
                                                                 "Range",
                                                                 "Proxy-Authorization",
                                                                 "X-HTTP-Method-Override",
                                                                 "X-HTTP-Method",
                                                                 "X-Method-Override",
                                                                 "X-Original-URL",
                                                                 "X-Rewrite-URL",
                                                                 "Forwarded",
                                                                 "X-Forwarded-Host",
                                                                 "X-Forwarded-For"};
    return !is_credential(name) &&
           std::none_of(kForbidden.begin(), kForbidden.end(), [&](std::string_view f) { return same_to_cgi(name, f); });
}

Fields without_repeated(const Fields& trailers, const Fields& head) {
    Fields kept;
    std::copy_if(trailers.begin(), trailers.end(), std::back_inserter(kept), [&](const Field& trailer) {
        return std::none_of(head.begin(), head.end(),
                            [&](const Field& field) { return same_to_cgi(field.name, trailer.name); });
    });
    return kept;
}

}  // namespace sallyport::wire
