// Any text is a policy or a list of mistakes; a policy can be asked: what is decided, what `explain` says and what a
// plain walk over all rules finds are the same. Questions stand in the text as comments: "#? GET
// https://h.example/a?k=v".

#include <algorithm>

#include "gateway/policy/decide.hpp"
#include "gateway/policy/explain.hpp"
#include "gateway/policy/load.hpp"
#include "tests/fuzz/require.hpp"

using namespace sallyport::policy;
using sallyport::fuzz::require;
using sallyport::fuzz::take_line;

namespace {

void check_mistakes(const std::vector<Mistake>& mistakes) {
    require(!mistakes.empty());
    for (const Mistake& mistake : mistakes) {
        require(!mistake.message.empty());
        const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
        require(std::none_of(mistake.message.begin(), mistake.message.end(), control));
    }
}

void check_rules(const Policy& policy) {
    for (const Rule& rule : policy.rules()) {
        require(!rule.hosts.empty());
        for (const HostPattern& host : rule.hosts)
            require(host.matches(host.name()) == (host.kind() != HostPattern::Kind::subdomains));
    }
    for (const SecretRule& secret : policy.secrets()) require(secret.format.find("{}") != std::string::npos);
}

/// The index finds what is there.
void check_index(const Policy& policy, const std::string& host) {
    std::vector<const Rule*> walked;
    for (const Rule& rule : policy.rules())
        if (std::any_of(rule.hosts.begin(), rule.hosts.end(), [&](const auto& h) { return h.matches(host); }))
            walked.push_back(&rule);
    require(policy.rules_for(host) == walked);
    std::vector<const SecretRule*> bound;
    for (const SecretRule& secret : policy.secrets())
        if (std::any_of(secret.hosts.begin(), secret.hosts.end(), [&](const auto& h) { return h.matches(host); }))
            bound.push_back(&secret);
    require(policy.secrets_for(host) == bound);
}

/// An allowed request is covered by an allow rule in both readings of its path, and by no deny rule in either.
void check_verdict(const Policy& policy, const Destination& to, const RequestFacts& facts, const Verdict& verdict) {
    bool allowed = false;
    bool denied = false;
    for (const Rule* rule : policy.rules_for(to.host)) {
        if (!rule->covers_port(to.port)) continue;
        const bool method =
            rule->methods.empty() || std::count(rule->methods.begin(), rule->methods.end(), facts.method) > 0;
        const auto path = [&](const std::string& text) {
            return rule->paths.empty() ||
                   std::any_of(rule->paths.begin(), rule->paths.end(), [&](const auto& p) { return p.matches(text); });
        };
        const bool first = path(facts.target.path);
        const bool second = path(facts.target.liberal_path);
        if (rule->action == Action::deny) denied = denied || (method && (first || second) && rule->query.empty());
        if (rule->allows_requests()) allowed = allowed || (method && first && second);
    }
    require(!verdict.allowed || (allowed && !denied));
    require(verdict.allowed || verdict.reason != Reason::allowed);
}

void check_question(const Policy& policy, std::string_view method, std::string_view url) {
    std::string error;
    const std::string said = explain(policy, method, url, error);
    require(said.empty() != error.empty());
    for (const char c : said) require((c >= 0x20 && c < 0x7f) || c == '\n');
    const bool tls = url.starts_with("https://");
    if (said.empty() || !(tls || url.starts_with("http://"))) return;
    url.remove_prefix(tls ? 8 : 7);
    url = url.substr(0, url.find('#'));
    const auto end = std::min(url.find_first_of("/?:@"), url.size());
    if (end < url.size() && (url[end] == ':' || url[end] == '@')) return;  // explain's to take apart
    const auto host = canonical_host(url.substr(0, end));
    require(host.has_value());
    check_index(policy, *host);

    const Destination to{*host, static_cast<std::uint16_t>(tls ? 443 : 80)};
    const bool passed = tls && decide_stream(policy, to, true).allowed;
    require(said.starts_with("passed ") == passed);
    std::string why;
    auto path = std::string(url.substr(end));
    if (!path.starts_with('/')) path.insert(0, "/");
    const auto target = normalise_target(path, why);
    if (passed) return;
    if (!target) return require(said.starts_with("denied "));
    const RequestFacts facts{method.empty() ? "GET" : method, *target};
    const Verdict verdict = decide_request(policy, to, facts);
    check_verdict(policy, to, facts, verdict);
    require(said.starts_with(verdict.allowed ? "allowed " : "denied "));
    if (verdict.rule) require(said.find(verdict.rule->where.to_string()) != std::string::npos);
    if (verdict.allowed) require(rule_for_some_request(policy, to) != nullptr);
    if (verdict.allowed && !sallyport::IpAddress::parse(*host)) require(resolution(policy, *host) == Resolution::yes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = sallyport::fuzz::text(data, size);
    const auto loaded = load(text, "fuzz.toml");
    if (const auto* mistakes = std::get_if<std::vector<Mistake>>(&loaded)) {
        check_mistakes(*mistakes);
        return 0;
    }
    const Policy& policy = *std::get<std::shared_ptr<const Policy>>(loaded);
    check_rules(policy);
    for (const Rule& rule : policy.rules())
        for (const HostPattern& host : rule.hosts) check_question(policy, "", "https://" + host.name() + "/a");
    for (auto rest = text; !rest.empty();) {
        auto line = take_line(rest);
        if (!line.starts_with("#? ")) continue;
        line.remove_prefix(3);
        const auto space = line.find(' ');
        if (space != line.npos) check_question(policy, line.substr(0, space), line.substr(space + 1));
    }
    return 0;
}
