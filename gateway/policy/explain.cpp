#include "gateway/policy/explain.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "gateway/policy/decide.hpp"
#include "gateway/policy/method.hpp"

namespace sallyport::policy {

namespace {

struct Scheme {
    std::string_view prefix;
    std::uint16_t port;  ///< 0: has to be given
    bool http;
    bool tls;
};

constexpr Scheme kSchemes[] = {
    {"https://", 443, true, true},
    {"http://", 80, true, false},
    {"ssh://", 22, false, false},
    {"tcp://", 0, false, false},
};

struct Url {
    const Scheme* scheme = nullptr;
    Destination to;
    std::string target;  ///< origin-form
};

std::optional<Url> parse_url(std::string_view text, std::string& error) {
    Url url;
    for (const Scheme& scheme : kSchemes)
        if (text.starts_with(scheme.prefix)) url.scheme = &scheme;
    if (!url.scheme) {
        error = "expected a URL: https://HOST/PATH, http://HOST/PATH, ssh://HOST or tcp://HOST:PORT";
        return std::nullopt;
    }
    text.remove_prefix(url.scheme->prefix.size());
    text = text.substr(0, text.find('#'));  // clients do not send it
    const std::size_t end = std::min(text.find_first_of("/?"), text.size());
    std::string_view authority = text.substr(0, end);
    url.target = (text.substr(end).starts_with('/') ? "" : "/") + std::string(text.substr(end));
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);

    const std::size_t colon =
        authority.starts_with('[') ? authority.find(':', authority.find(']')) : authority.find(':');
    url.to.port = url.scheme->port;
    if (colon != std::string_view::npos) {
        const std::string_view digits = authority.substr(colon + 1);
        const auto [last, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), url.to.port);
        if (failure != std::errc{} || last != digits.data() + digits.size()) url.to.port = 0;
        authority = authority.substr(0, colon);
    }
    const auto host = canonical_host(authority);
    if (!host) error = "the URL's host is neither a name nor an address";
    if (url.to.port == 0) error = "the URL needs a port from 1 to 65535";
    if (!error.empty()) return std::nullopt;
    url.to.host = *host;
    return url;
}

std::string row(std::string_view name, std::string_view value) {
    std::string out(name);
    out.resize(10, ' ');
    return out.append(value) + "\n";
}

std::string indented(std::string_view lines) {
    std::string out;
    while (!lines.empty()) {
        const std::size_t end = std::min(lines.find('\n'), lines.size() - 1) + 1;
        out.append("    ").append(lines.substr(0, end));
        lines.remove_prefix(end);
    }
    return out;
}

std::string way_out(const Policy& policy, const Url& url, bool request) {
    const Route* route = policy.route_for(url.to.host);
    bool tls = url.scheme->tls;
    std::string out;
    if (route && request) {
        tls = route->tls;
        const bool v6 = route->to_host.find(':') != std::string::npos;
        out += row("route", std::string(tls ? "https://" : "http://") +
                                (v6 ? "[" + route->to_host + "]" : route->to_host) + ":" +
                                std::to_string(route->to_port) + " (" + route->where.to_string() + ")");
    }
    const auto secrets = policy.secrets_for(url.to.host);
    for (const SecretRule* secret : secrets) {
        std::string how;
        if (secret->basic_user) how = "put into authorization";
        if (secret->header) how = "put into " + *secret->header;
        if (secret->placeholder) how += (how.empty() ? "" : ", and ") + std::string("in place of its placeholder");
        if (!request) how = "not put in: this connection is not looked into";
        else if (!tls) how = "not put in: the connection is not encrypted";
        out += row("secret", secret->name + " (" + secret->where.to_string() + "), " + how);
    }
    return out;
}

std::string report(const Policy& policy, const Url& url, const Verdict& verdict, const RequestFacts* request,
                   bool tls) {
    const bool passed = verdict.allowed && !request;
    std::string out = row(!verdict.allowed ? "denied"
                          : passed         ? "passed"
                                           : "allowed",
                          describe(verdict, url.to, request));
    if (verdict.allowed) {
        if (passed) out += row("note", "relayed untouched: methods and paths are not seen");
        if (verdict.rule->private_addresses) out += row("note", "the name may stand for a private address");
        return out + way_out(policy, url, request != nullptr);
    }
    if (verdict.rule && verdict.rule->action == Action::deny)
        return out + row("to allow", "change " + verdict.rule->where.to_string() + ": a deny wins over any allow");
    return out + "to allow it, add:\n\n" + indented(suggest_rule(url.to, request, tls));
}

}  // namespace

std::string explain(const Policy& policy, std::string_view method, std::string_view text, std::string& error) {
    error.clear();
    const auto url = parse_url(text, error);
    if (!url) return {};
    if (!url->scheme->http) {
        if (!method.empty()) {
            error = "a method goes with https:// and http:// URLs only";
            return {};
        }
        return report(policy, *url, decide_stream(policy, url->to, false), nullptr, false);
    }
    if (method.empty()) method = "GET";
    if (!is_method(method)) {
        error = "a method is written in upper case, as in GET";
        return {};
    }
    if (url->scheme->tls) {
        const Verdict passed = decide_stream(policy, url->to, true);
        if (passed.allowed) return report(policy, *url, passed, nullptr, true);
    }
    std::string why;
    const auto target = normalise_target(url->target, why);
    if (!target) return row("denied", why);
    const RequestFacts facts{method, *target};
    return report(policy, *url, decide_request(policy, url->to, facts), &facts, url->scheme->tls);
}

}  // namespace sallyport::policy
