#include "gateway/policy/decide.hpp"

#include <algorithm>

#include "gateway/policy/uri_text.hpp"

namespace sallyport::policy {

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

bool same_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return ascii_lower(x) == ascii_lower(y); });
}

/// A request, and the readings of its query that an origin could come to; these are parsed when first asked for.
class Request {
public:
    explicit Request(const RequestFacts& facts) : facts_(facts) {}

    bool allowed_by(const Rule& rule) {
        return method_in(rule.methods) && path_in(rule.paths, facts_.target.path) &&
               path_in(rule.paths, facts_.target.liberal_path) &&
               (rule.query.empty() || std::all_of(readings().begin(), readings().end(), [&](const Pairs& pairs) {
                    return every_key_once(rule.query, pairs);
                }));
    }

    bool denied_by(const Rule& rule) {
        return method_in_ignoring_case(rule.methods) &&
               (path_in_ignoring_case(rule.paths, facts_.target.path) ||
                path_in_ignoring_case(rule.paths, facts_.target.liberal_path)) &&
               (rule.query.empty() || std::any_of(readings().begin(), readings().end(), [&](const Pairs& pairs) {
                    return every_key_somewhere(rule.query, pairs);
                }));
    }

private:
    bool method_in(const std::vector<std::string>& methods) const {
        return methods.empty() || std::find(methods.begin(), methods.end(), facts_.method) != methods.end();
    }

    bool method_in_ignoring_case(const std::vector<std::string>& methods) const {
        return methods.empty() || std::any_of(methods.begin(), methods.end(), [&](const std::string& method) {
                   return same_ignoring_case(method, facts_.method);
               });
    }

    static bool path_in(const std::vector<PathPattern>& paths, std::string_view path) {
        return paths.empty() ||
               std::any_of(paths.begin(), paths.end(), [&](const auto& pattern) { return pattern.matches(path); });
    }

    static bool path_in_ignoring_case(const std::vector<PathPattern>& paths, const std::string& path) {
        if (paths.empty()) return true;
        const bool slash = path.ends_with('/');
        const std::string other = slash ? path.substr(0, path.size() - 1) : path + "/";
        return std::any_of(paths.begin(), paths.end(), [&](const PathPattern& pattern) {
            return pattern.matches_ignoring_case(path) || pattern.matches_ignoring_case(other);
        });
    }

    static bool every_key_once(const std::vector<QueryPattern>& wanted, const Pairs& pairs) {
        return std::all_of(wanted.begin(), wanted.end(), [&](const QueryPattern& pattern) {
            const auto is_key = [&](const auto& pair) { return pair.first == pattern.key; };
            const auto found = std::find_if(pairs.begin(), pairs.end(), is_key);
            return found != pairs.end() && wildcard_match(pattern.value, found->second) &&
                   std::none_of(found + 1, pairs.end(), is_key);
        });
    }

    static bool every_key_somewhere(const std::vector<QueryPattern>& wanted, const Pairs& pairs) {
        return std::all_of(wanted.begin(), wanted.end(), [&](const QueryPattern& pattern) {
            return std::any_of(pairs.begin(), pairs.end(), [&](const auto& pair) {
                return same_ignoring_case(pair.first, pattern.key) &&
                       wildcard_match_ignoring_case(pattern.value, pair.second);
            });
        });
    }

    const std::vector<Pairs>& readings() {
        if (readings_.empty()) {
            const std::string& query = facts_.target.query;
            readings_.push_back(query_pairs(query));
            if (query.find(';') != std::string::npos) readings_.push_back(query_pairs(query, true));
        }
        return readings_;
    }

    const RequestFacts& facts_;
    std::vector<Pairs> readings_;
};

/// The first match, but one that reaches private addresses before others: its author asked for them.
void prefer(const Rule*& chosen, const Rule* candidate) {
    if (!chosen || (candidate->private_addresses && !chosen->private_addresses)) chosen = candidate;
}

/// The one place where the mode of the policy counts.
Verdict in_mode(const Policy& policy, Verdict verdict) {
    if (policy.mode() == Mode::enforce || verdict.allowed) return verdict;
    verdict.allowed = verdict.would_deny = true;
    return verdict;
}

Verdict enforced_request(const Policy& policy, const Destination& to, const RequestFacts& facts) {
    const auto rules = policy.rules_for(to.host);
    Request request(facts);
    const Rule* allow = nullptr;
    bool named = false;
    for (const Rule* rule : rules) {
        if (!rule->covers_port(to.port)) continue;
        if (rule->action == Action::deny) {
            if (request.denied_by(*rule)) return {false, Reason::denied_by_rule, rule};
        } else if (rule->allows_requests()) {
            named = true;
            if (request.allowed_by(*rule)) prefer(allow, rule);
        }
    }
    if (allow) return {true, Reason::allowed, allow};
    return {false, named ? Reason::no_rule_for_request : Reason::no_rule, nullptr};
}

Verdict enforced_stream(const Policy& policy, const Destination& to, bool tls) {
    const auto rules = policy.rules_for(to.host);
    const Rule* conditional_deny = nullptr;
    const Rule* allow = nullptr;
    const Rule* needs_more = nullptr;
    for (const Rule* rule : rules) {
        if (!rule->covers_port(to.port)) continue;
        if (rule->action == Action::deny) {
            if (!rule->needs_request()) return {false, Reason::denied_by_rule, rule};
            if (!conditional_deny) conditional_deny = rule;
        } else if (tls ? rule->pass_through : rule->grants_tcp(to.port)) {
            prefer(allow, rule);
        } else if (!needs_more) {
            needs_more = rule;
        }
    }
    if (conditional_deny) return {false, Reason::needs_request, conditional_deny};
    if (allow) return {true, Reason::allowed, allow};
    if (needs_more) return {false, Reason::needs_request, needs_more};
    return {false, Reason::no_rule, nullptr};
}

}  // namespace

Verdict decide_request(const Policy& policy, const Destination& to, const RequestFacts& facts) {
    return in_mode(policy, enforced_request(policy, to, facts));
}

Verdict decide_stream(const Policy& policy, const Destination& to, bool tls) {
    const auto verdict = enforced_stream(policy, to, tls);
    // TLS that is not to be passed through is intercepted instead; other bytes on 80 and 443 no rule can allow.
    const bool no_denial = tls || to.port == 80 || to.port == 443;
    return no_denial ? verdict : in_mode(policy, verdict);
}

const Rule* rule_for_some_request(const Policy& policy, const Destination& to) {
    const Rule* allow = nullptr;
    for (const Rule* rule : policy.rules_for(to.host)) {
        if (!rule->covers_port(to.port)) continue;
        if (rule->action == Action::deny && !rule->needs_request()) return nullptr;
        if (rule->allows_requests()) prefer(allow, rule);
    }
    return allow;
}

Resolution resolution(const Policy& policy, std::string_view canonical_name) {
    const auto rules = policy.rules_for(canonical_name);
    const auto whole_host = [](const Rule* rule) {
        return rule->action == Action::deny && rule->ports.empty() && !rule->needs_request();
    };
    const bool allowed =
        std::any_of(rules.begin(), rules.end(), [](const Rule* rule) { return rule->action == Action::allow; }) &&
        std::none_of(rules.begin(), rules.end(), whole_host);
    if (allowed) return Resolution::yes;
    return policy.mode() == Mode::audit ? Resolution::only_in_audit : Resolution::no;
}

}  // namespace sallyport::policy
