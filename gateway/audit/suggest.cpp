#include "gateway/audit/suggest.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "gateway/net/address_scope.hpp"
#include "gateway/policy/decide.hpp"
#include "gateway/policy/load.hpp"
#include "gateway/policy/method.hpp"
#include "gateway/policy/path_groups.hpp"
#include "gateway/policy/presets.hpp"

namespace sallyport::audit {
namespace {

using policy::Rule;
using policy::Verdict;

constexpr std::size_t kPathsOfARule = 8;
constexpr std::size_t kNotes = 50;  // of each kind
constexpr std::size_t kMaxComment = 200;
constexpr std::size_t kWorthAPreset = 3;  // different requests

/// One thing to cover, checked: host, method and target are what a rule can name.
struct Wanted {
    const Seen* seen;
    std::uint64_t count;
    policy::Target target;
};

/// Nothing that ends a comment or is no TOML.
std::string comment(std::string_view text) {
    std::string out(text.substr(0, kMaxComment));
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return out;
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

/// "a" or ["a", "b"].
template <class Texts>
std::string value(const Texts& texts) {
    if (texts.size() == 1) return quoted(*texts.begin());
    std::string out;
    for (const auto& text : texts) out += (out.empty() ? "[" : ", ") + quoted(text);
    return out + "]";
}

std::string times(std::uint64_t count, std::string_view what) {
    return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

bool is_web_port(std::uint16_t port) { return port == 80 || port == 443; }

Verdict decided(const policy::Policy& policy, const Wanted& wanted) {
    const policy::Destination to{wanted.seen->host, wanted.seen->port};
    if (wanted.seen->kind != Seen::Kind::request)
        return policy::decide_stream(policy, to, wanted.seen->kind == Seen::Kind::tls);
    return policy::decide_request(policy, to, {wanted.seen->method, wanted.target});
}

/// Empty when a rule can allow it.
std::string why_not(const Seen& seen) {
    if (policy::canonical_host(seen.host) != seen.host) return "not a host name";
    if (const auto address = IpAddress::parse(seen.host))
        if (const auto kind = net::private_reason(*address); kind && !net::is_local_network(*address))
            return std::string(*kind);
    if (seen.kind == Seen::Kind::tcp && is_web_port(seen.port)) return "another protocol on a port of the web";
    if (seen.kind != Seen::Kind::request) return {};
    if (!policy::is_method(seen.method)) return "a method that no rule can name";
    return {};
}

/// Rules alike in all but method and path.
struct Place {
    std::string host;
    std::uint16_t port = 0;  ///< 0: 80 and 443
    Seen::Kind kind = Seen::Kind::request;

    auto operator<=>(const Place&) const = default;
};

class Suggestion {
public:
    Suggestion(const LogContent& content, const policy::Policy& known) : content_(content), known_(known) {
        sort_out();
    }

    std::string text() {
        const auto use = use_presets();
        std::string out = "# Suggested from an audit log: review it before use. Counts are those of the log.\n";
        if (content_.unreadable > 0)
            out += "# Left out: " + times(content_.unreadable, "line") + " that could not be read.\n";
        if (content_.beyond > 0) out += "# Left out: " + times(content_.beyond, "event") + ", since too many differ.\n";
        if (!use.empty()) out += "use = " + list(use) + "\n";
        out += rules();
        out += notes("Not covered", not_covered_);
        out += notes("Looked up, never connected to", looked_up());
        out += notes("Refused in the audit run as well", content_.refused);
        return out;
    }

private:
    using Counts = std::map<std::string, std::uint64_t>;

    void sort_out() {
        for (const auto& [seen, count] : content_.seen) {
            Wanted wanted{&seen, count, {}};
            auto why = why_not(seen);
            if (why.empty() && seen.kind == Seen::Kind::request) {
                auto target = policy::normalise_target(seen.target, why);
                if (target) wanted.target = std::move(*target);
            }
            if (why.empty()) {
                const auto verdict = decided(known_, wanted);
                if (verdict.allowed && (!seen.private_address || verdict.rule->private_addresses)) continue;
                if (verdict.reason == policy::Reason::denied_by_rule)
                    why = "denied by " + verdict.rule->where.to_string();
            }
            if (why.empty()) wanted_.push_back(std::move(wanted));
            else not_covered_[seen.host + ": " + seen.method + " " + seen.target + ": " + why] += count;
        }
    }

    /// The presets that stand in, with the number of events that they cover; these are no longer wanted.
    std::vector<std::pair<std::string, std::uint64_t>> use_presets() {
        std::vector<std::pair<std::string, std::uint64_t>> used;
        for (const auto& preset : policy::presets()) {
            const auto loaded = policy::load(preset.text, "preset:" + std::string(preset.name));
            const auto* policy = std::get_if<std::shared_ptr<const policy::Policy>>(&loaded);
            if (!policy || !stands_in(**policy)) continue;
            const auto covered = std::stable_partition(wanted_.begin(), wanted_.end(), [&](const Wanted& wanted) {
                return !decided(**policy, wanted).allowed || wanted.seen->private_address;
            });
            std::uint64_t count = 0;
            for (auto it = covered; it != wanted_.end(); ++it) count += it->count;
            wanted_.erase(covered, wanted_.end());
            used.emplace_back(preset.name, count);
        }
        return used;
    }

    bool stands_in(const policy::Policy& preset) const {
        std::set<const Rule*> needed;
        std::size_t different = 0;
        for (const auto& wanted : wanted_) {
            const auto verdict = decided(preset, wanted);
            if (!verdict.allowed || wanted.seen->private_address) continue;
            needed.insert(verdict.rule);
            ++different;
        }
        const auto& rules = preset.rules();
        return different >= kWorthAPreset && needed.size() * 2 >= rules.size() &&
               std::all_of(rules.begin(), rules.end(),
                           [&](const Rule& rule) { return only_reads(rule) || needed.contains(&rule); });
    }

    static bool only_reads(const Rule& rule) {
        return !rule.methods.empty() &&
               std::all_of(rule.methods.begin(), rule.methods.end(),
                           [](const std::string& method) { return method == "GET" || method == "HEAD"; });
    }

    static std::string list(const std::vector<std::pair<std::string, std::uint64_t>>& use) {
        std::string out = "[\n";
        for (const auto& [name, count] : use) out += "    " + quoted(name) + ",   # " + times(count, "request") + "\n";
        return out + "]";
    }

    std::string rules() const {
        std::map<Place, std::vector<const Wanted*>> places;
        for (const auto& wanted : wanted_) {
            const auto port = is_web_port(wanted.seen->port) ? std::uint16_t{0} : wanted.seen->port;
            places[{wanted.seen->host, port, wanted.seen->kind}].push_back(&wanted);
        }
        std::string out;
        for (const auto& [place, all] : places)
            out += place.kind == Seen::Kind::request ? request_rules(place, all) : stream_rule(place, all);
        return out;
    }

    static std::string head(const Place& place, const std::vector<const Wanted*>& all, std::uint64_t count,
                            std::string_view what) {
        std::string out = "\n# " + times(count, what) + "\n[[allow]]\nhost    = " + quoted(place.host) + "\n";
        if (place.port != 0) out += "port    = " + std::to_string(place.port) + "\n";
        if (std::any_of(all.begin(), all.end(), [](const Wanted* wanted) { return wanted->seen->private_address; }))
            out += "private = true\n";
        return out;
    }

    static std::string stream_rule(const Place& place, const std::vector<const Wanted*>& all) {
        std::uint64_t count = 0;
        for (const auto* wanted : all) count += wanted->count;
        return head(place, all, count, "connection") +
               (place.kind == Seen::Kind::tls ? "tls     = \"passthrough\"\n" : "");
    }

    /// Methods that need the same paths share a rule.
    static std::string request_rules(const Place& place, const std::vector<const Wanted*>& all) {
        std::map<std::string, Counts> paths_of;  // by method
        std::map<std::string, std::uint64_t> count_of;
        for (const auto* wanted : all) {
            auto& paths = paths_of[wanted->seen->method];
            count_of[wanted->seen->method] += wanted->count;
            // An allow must hold for both readings of a path. OPTIONS * has no path to name.
            if (wanted->target.path == "*") continue;
            paths[wanted->target.path] += wanted->count;
            if (wanted->target.liberal_path != wanted->target.path) paths[wanted->target.liberal_path] += 0;
        }
        std::map<std::vector<std::string>, std::vector<std::string>> methods_of;  // by patterns
        for (const auto& [method, paths] : paths_of) methods_of[patterns(all, method, paths)].push_back(method);
        std::string out;
        for (const auto& [patterns, methods] : methods_of) {
            std::uint64_t count = 0;
            for (const auto& method : methods) count += count_of[method];
            out += head(place, all, count, "request") + "method  = " + value(methods) + "\n";
            if (!patterns.empty()) out += "path    = " + value(patterns) + "\n";
        }
        return out;
    }

    /// Empty: the rule names no path, since one of the requests has none.
    static std::vector<std::string> patterns(const std::vector<const Wanted*>& all, const std::string& method,
                                             const Counts& paths) {
        std::vector<std::string> out;
        if (std::any_of(all.begin(), all.end(), [&](const Wanted* wanted) {
                return wanted->seen->method == method && wanted->target.path == "*";
            }))
            return out;
        for (auto& group : policy::group_paths(paths, kPathsOfARule)) out.push_back(std::move(group.pattern));
        return out;
    }

    Counts looked_up() const {
        std::set<std::string_view> hosts;
        for (const auto& [seen, count] : content_.seen) hosts.insert(seen.host);
        Counts out;
        for (const auto& [name, count] : content_.looked_up)
            if (!hosts.contains(name)) out[name] += count;
        return out;
    }

    static std::string notes(std::string_view title, const Counts& counts) {
        if (counts.empty()) return {};
        std::string out = "\n# " + std::string(title) + ":\n";
        std::size_t shown = 0;
        std::uint64_t rest = 0;
        for (const auto& [what, count] : counts) {
            if (shown++ < kNotes) out += "#   " + comment(what) + " (" + std::to_string(count) + ")\n";
            else rest += count;
        }
        if (rest > 0) out += "#   others (" + std::to_string(rest) + ")\n";
        return out;
    }

    const LogContent& content_;
    const policy::Policy& known_;
    std::vector<Wanted> wanted_;
    Counts not_covered_;
};

}  // namespace

std::string suggest(const LogContent& content, const policy::Policy& known) {
    return Suggestion(content, known).text();
}

}  // namespace sallyport::audit
