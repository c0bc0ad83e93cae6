// decide.hpp's words for people: what was decided and which lines would decide otherwise.

#include <algorithm>

#include "gateway/policy/decide.hpp"
#include "gateway/policy/method.hpp"

namespace sallyport::policy {

namespace {

constexpr std::size_t kMaxShown = 200;

/// Cut to a length that fits a line, with nothing that a terminal or a log reader would act on.
std::string shown(std::string_view text, std::size_t most = kMaxShown) {
    const bool cut = text.size() > most;
    std::string out(text.substr(0, most));
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return cut ? out + "..." : out;
}

std::string authority(const Destination& to) {
    const bool v6 = to.host.find(':') != std::string::npos;
    return shown(v6 ? "[" + to.host + "]" : to.host, 255) + ":" + std::to_string(to.port);
}

std::string subject(const Destination& to, const RequestFacts* request) {
    if (!request) return "a connection to " + authority(to);
    return shown(request->method, 32) + " " + shown(request->target.to_string()) + " on " + authority(to);
}

std::string why_request_needed(const Rule& rule, const Destination& to) {
    const std::string line = rule.where.to_string();
    if (rule.action == Action::deny)
        return "the deny rule at " + line + " depends on the request, which a connection to " + authority(to) +
               " does not show; give it a port if it is not meant for " + std::to_string(to.port);
    if (rule.pass_through) return line + " allows nothing but TLS to " + authority(to);
    return line + " allows HTTP requests to " + authority(to) + ", and this is not one that the gateway can read";
}

/// TOML basic string; quotes and backslashes cannot occur in a normalised target, but the caller need not know.
std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : shown(text, PathPattern::kMaxLength)) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

/// The path pattern or patterns that match exactly this target; an allow must hold for both of its readings.
std::string path_value(const Target& target) {
    const std::string path = toml_string(PathPattern::literal(target.path));
    if (target.liberal_path == target.path) return path;
    return "[" + path + ", " + toml_string(PathPattern::literal(target.liberal_path)) + "]";
}

bool fits_pattern(const Target& target) {
    return PathPattern::literal(target.path).size() <= PathPattern::kMaxLength &&
           PathPattern::literal(target.liberal_path).size() <= PathPattern::kMaxLength;
}

}  // namespace

std::string describe(const Verdict& verdict, const Destination& to, const RequestFacts* request) {
    const std::string line = verdict.rule ? verdict.rule->where.to_string() : "";
    switch (verdict.reason) {
        case Reason::allowed:
            return line +
                   (verdict.rule && verdict.rule->pass_through ? " passes TLS through untouched: " : " allows ") +
                   subject(to, request);
        case Reason::denied_by_rule:
            return line + " denies " + subject(to, request);
        case Reason::no_rule:
            return "no rule names " + authority(to);
        case Reason::no_rule_for_request:
            return "no rule allows " + subject(to, request);
        case Reason::needs_request:
            if (verdict.rule) return why_request_needed(*verdict.rule, to);
            break;
    }
    return "no rule allows " + subject(to, request);
}

std::string suggest_rule(const Destination& to, const RequestFacts* request, bool tls) {
    const bool web_port = to.port == 80 || to.port == 443;
    if (!request && !tls && web_port)
        return "# no rule allows other protocols on port " + std::to_string(to.port) + ": only HTTP and TLS use it\n";
    if (request && !is_method(request->method)) return "# no rule can allow this method: methods are upper case\n";
    if (request && !fits_pattern(request->target)) return "# the path is too long to be named by a rule\n";

    std::string out = "[[allow]]\nhost   = " + toml_string(to.host) + "\n";
    if (!web_port) out += "port   = " + std::to_string(to.port) + "\n";
    if (request) {
        out += "method = " + toml_string(request->method) + "\n";
        if (request->target.path.starts_with('/')) out += "path   = " + path_value(request->target) + "\n";
    } else if (tls) {
        out += "tls    = \"passthrough\"\n";
    }
    return out;
}

}  // namespace sallyport::policy
