#include "gateway/secrets/inject.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "gateway/secrets/base64.hpp"

namespace sallyport::secrets {
namespace {

constexpr int kDecodings = 3;  // origins that decode a value more often than that do not matter
constexpr std::string_view kBasic = "basic ";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool contains(std::string_view text, std::string_view part) {
    return std::search(text.begin(), text.end(), part.begin(), part.end(),
                       [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

std::optional<std::uint8_t> hex(char c) {
    if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
    if (lower(c) >= 'a' && lower(c) <= 'f') return static_cast<std::uint8_t>(lower(c) - 'a' + 10);
    return std::nullopt;
}

/// Escapes that are none stay as they are: this only searches.
std::string percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto high = text[i] == '%' && i + 2 < text.size() ? hex(text[i + 1]) : std::nullopt;
        const auto low = high ? hex(text[i + 2]) : std::nullopt;
        out += low ? static_cast<char>(*high << 4 | *low) : text[i];
        if (low) i += 2;
    }
    return out;
}

/// What follows "Basic " in an Authorization or Proxy-Authorization field, decoded.
std::optional<std::string> basic_credentials(const wire::Field& field) {
    if (!wire::equal_ignoring_case(field.name, "authorization") &&
        !wire::equal_ignoring_case(field.name, "proxy-authorization"))
        return std::nullopt;
    std::string_view value = field.value;
    if (!wire::equal_ignoring_case(value.substr(0, kBasic.size()), kBasic)) return std::nullopt;
    value.remove_prefix(std::min(value.size(), value.find_first_not_of(' ', kBasic.size())));
    return base64_decode(value);
}

/// Every text of the request in which a placeholder could stand, decoded in every way that we know.
std::vector<std::string> readings(const Destination& destination, const wire::Fields& fields) {
    std::vector<std::string> texts{std::string(destination.target)};
    for (const auto& field : fields) {
        texts.push_back(field.name);
        texts.push_back(field.value);
        if (auto credentials = basic_credentials(field)) texts.push_back(std::move(*credentials));
    }
    const std::size_t raw = texts.size();
    for (std::size_t i = 0; i < raw; ++i) {
        std::string text = texts[i];
        for (int depth = 0; depth < kDecodings && text.find('%') != std::string::npos; ++depth) {
            text = percent_decoded(text);
            texts.push_back(text);
        }
    }
    return texts;
}

/// One that must not be there: under TLS those of this host's secrets may.
bool any_unwanted(const HostSecrets& secrets, bool tls) {
    return (!tls && std::any_of(secrets.bound.begin(), secrets.bound.end(),
                                [](const auto& s) { return s.rule.placeholder.has_value(); })) ||
           std::any_of(secrets.foreign.begin(), secrets.foreign.end(),
                       [](const auto* r) { return r->placeholder.has_value(); });
}

bool carries(const std::vector<std::string>& texts, const policy::SecretRule& rule) {
    return rule.placeholder && std::any_of(texts.begin(), texts.end(),
                                           [&](const std::string& text) { return contains(text, *rule.placeholder); });
}

bool is_set(const policy::SecretRule& rule) { return rule.header || rule.basic_user; }

std::optional<InjectionRefused> refusal(const HostSecrets& secrets, const Destination& destination,
                                        const std::vector<std::string>& texts) {
    const std::string host(destination.host);
    for (const auto* rule : secrets.foreign)
        if (carries(texts, *rule))
            return InjectionRefused{"placeholder of secret " + rule->name + " on its way to " + host, true};
    if (destination.tls) return std::nullopt;
    for (const auto& [rule, value, forms] : secrets.bound) {
        if (carries(texts, rule))
            return InjectionRefused{"placeholder of secret " + rule.name + " on its way to " + host + " without TLS"};
        if (is_set(rule))
            return InjectionRefused{"secret " + rule.name + " is never sent without TLS; use https://" + host};
    }
    return std::nullopt;
}

bool in_header(const BoundSecret& secret) { return secret.rule.placeholder && secret.rule.placeholder_in.header; }

/// True when one stood there. In one pass, so that a value that happens to contain a placeholder is not expanded in
/// turn.
bool replace_placeholders(std::string& text, const HostSecrets& secrets, std::set<std::string>& used) {
    if (std::none_of(secrets.bound.begin(), secrets.bound.end(), [&](const BoundSecret& secret) {
            return in_header(secret) && text.find(*secret.rule.placeholder) != std::string::npos;
        }))
        return false;
    std::string out;
    for (std::string_view rest = text; !rest.empty();) {
        const auto found = std::find_if(secrets.bound.begin(), secrets.bound.end(), [&](const BoundSecret& secret) {
            return in_header(secret) && rest.starts_with(*secret.rule.placeholder);
        });
        const bool here = found != secrets.bound.end();
        if (here) used.insert(found->rule.name);
        out += here ? found->value.reveal() : rest.substr(0, 1);
        rest.remove_prefix(here ? found->rule.placeholder->size() : 1);
    }
    text = std::move(out);
    return true;
}

/// True when one stood there.
bool replace_placeholders(wire::Field& field, const HostSecrets& secrets, std::set<std::string>& used) {
    // The authority was decided on; nothing may change it afterwards.
    if (wire::equal_ignoring_case(field.name, "host")) return false;
    bool found = replace_placeholders(field.value, secrets, used);
    if (auto credentials = basic_credentials(field); credentials && replace_placeholders(*credentials, secrets, used)) {
        field.value = "Basic " + base64_encode(*credentials);
        found = true;
    }
    field.sensitive = field.sensitive || found;
    return found;
}

/// Of a secret that is set.
std::string_view field_of(const policy::SecretRule& rule) {
    if (rule.basic_user) return "Authorization";
    return *rule.header;
}

/// Credentials of another than whose secret is set. An origin that is asked in two names may take the other one's,
/// whose account the sandbox could share with anybody.
bool stands_beside(const HostSecrets& secrets, std::string_view name) {
    bool any = false;
    for (const auto& [rule, value, forms] : secrets.bound) {
        if (!is_set(rule)) continue;
        if (wire::equal_ignoring_case(name, field_of(rule))) return false;
        any = true;
    }
    return any && wire::is_credential(name);
}

void set_field(wire::Fields& fields, const BoundSecret& secret) {
    const auto& [rule, value, forms] = secret;
    std::string text = rule.format;
    if (rule.basic_user) text = "Basic " + base64_encode(*rule.basic_user + ":" + std::string(value.reveal()));
    else if (const auto hole = text.find("{}"); hole != std::string::npos) text.replace(hole, 2, value.reveal());
    wire::set(fields, field_of(rule), text, true);
}

}  // namespace

std::variant<Injected, InjectionRefused> inject(const HostSecrets& secrets, const Destination& destination,
                                                wire::Fields& fields) {
    const bool read = any_unwanted(secrets, destination.tls);
    const auto texts = read ? readings(destination, fields) : std::vector<std::string>{};
    if (auto refused = refusal(secrets, destination, texts)) return std::move(*refused);
    if (!destination.tls) return Injected{};
    std::set<std::string> used;
    for (auto field = fields.begin(); field != fields.end();) {
        const bool ours = replace_placeholders(*field, secrets, used);
        field = !ours && stands_beside(secrets, field->name) ? fields.erase(field) : std::next(field);
    }
    for (const auto& secret : secrets.bound) {
        if (!is_set(secret.rule)) continue;
        set_field(fields, secret);
        used.insert(secret.rule.name);
    }
    Injected result;
    for (const auto& secret : secrets.bound)
        if (used.contains(secret.rule.name)) result.names.push_back(secret.rule.name);
    return result;
}

}  // namespace sallyport::secrets
