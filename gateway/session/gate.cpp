#include "gateway/session/gate.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "gateway/policy/method.hpp"
#include "gateway/secrets/base64.hpp"
#include "gateway/secrets/inject.hpp"
#include "gateway/secrets/scrubber.hpp"
#include "gateway/session/authority.hpp"
#include "gateway/session/readable_response.hpp"

namespace sallyport::session {
namespace {

using policy::Destination;
using wire::RequestHead;

constexpr std::string_view kWebSocket = "websocket";
constexpr std::string_view kWebSocketKey = "Sec-WebSocket-Key";
constexpr std::string_view kWebSocketProtocol = "Sec-WebSocket-Protocol";
constexpr std::array<std::string_view, 2> kFraming{"Content-Length", "Transfer-Encoding"};
constexpr std::array<std::string_view, 3> kMethodOverrides{"X-HTTP-Method-Override", "X-HTTP-Method",
                                                           "X-Method-Override"};
/// Of IIS and what imitates it: a proxy tells them the path that it was asked for.
constexpr std::array<std::string_view, 2> kPathOverrides{"X-Original-URL", "X-Rewrite-URL"};
constexpr const char* kPrivateNoMore = "its rule no longer says private = true";

Way way_to(const Rules& rules, const Destination& destination, bool tls, const policy::Rule* rule) {
    Way way{destination, tls, rule && rule->private_addresses, nullptr};
    if (const auto* route = rules.policy->route_for(destination.host))  // whoever wrote the route named the address
        way = {{route->to_host, route->to_port}, route->tls, true, nullptr};
    if (way.tls) way.options = rules.secrets->origin_options(way.origin.host);
    return way;
}

/// One request on its way through the gate; each step returns a refusal or lets it pass.
class Judgement {
public:
    Judgement(const Rules& rules, const ConnectionFacts& facts, RequestHead& head)
        : rules_(rules), facts_(facts), head_(head), destination_{facts.name, facts.port} {}

    std::variant<Permit, Refusal> run() {
        for (const auto step : {&Judgement::check_method, &Judgement::check_upgrade, &Judgement::drop_connection_fields,
                                &Judgement::check_handshake, &Judgement::check_authority, &Judgement::check_target,
                                &Judgement::check_names, &Judgement::check_policy, &Judgement::put_in_secrets})
            if (auto refusal = (this->*step)()) return std::move(*refusal);
        return permit();
    }

private:
    using Step = std::optional<Refusal>;

    Refusal refusal(unsigned status, std::string why) const {
        Refusal r;
        r.status = status;
        r.destination = destination_;
        r.method = head_.method;
        r.target = target_ ? target_->to_string() : head_.target;
        r.why = std::move(why);
        return r;
    }

    /// What no rule can allow, since it would turn the exchange into something that is not looked at, or sends the
    /// request (and its secrets) back in the response.
    Step check_method() {
        if (head_.method == "CONNECT") return refusal(405, "CONNECT asks for a proxy, which this is not");
        if (head_.method == "TRACE") return refusal(405, "TRACE would send secrets back in its response");
        if (const auto expect = wire::find(head_.fields, "Expect");
            expect && !wire::equal_ignoring_case(*expect, "100-continue"))
            return refusal(417, "an Expect field that is not 100-continue");
        return std::nullopt;
    }

    /// Of what a client may want to change to (RFC 9110, section 7.8), WebSocket is passed on, and the offer of h2c
    /// that clients make with any request is not taken.
    Step check_upgrade() {
        const auto asked = wire::find(head_.fields, "Upgrade");
        if (wire::has_token(head_.fields, "Upgrade", kWebSocket)) {
            if (head_.minor_version == 0 || !wire::has_token(head_.fields, "Connection", "upgrade"))
                return refusal(400, "an Upgrade field that Connection does not announce");
            head_.upgrade = kWebSocket;
        }
        if (head_.upgrade.empty() ? asked && *asked != "h2c" : head_.upgrade != kWebSocket)
            return refusal(501, "changing the protocol (Upgrade) to anything but WebSocket is not supported");
        return std::nullopt;
    }

    /// Before anything is judged or put in, since Connection can name any field. "TE: trailers" is for the origin too.
    Step drop_connection_fields() {
        const bool trailers = wire::has_token(head_.fields, "TE", "trailers");
        wire::remove_connection_fields(head_.fields);
        if (trailers) wire::set(head_.fields, "TE", "trailers");
        return std::nullopt;
    }

    /// RFC 6455, section 4.1. With a body, or without the key that the origin's answer is checked by, it could mean two
    /// things to two readers.
    Step check_handshake() {
        if (head_.upgrade.empty()) return std::nullopt;
        for (const auto& field : head_.fields)
            if (wire::equal_ignoring_case(field.name, kWebSocketProtocol)) head_.offered += field.value + ",";
        const auto key = wire::find(head_.fields, kWebSocketKey);
        const auto bytes = key ? secrets::base64_decode(*key) : std::nullopt;
        if (head_.method == "GET" && head_.body.kind == wire::Framing::none && bytes && bytes->size() == 16 &&
            wire::count(head_.fields, kWebSocketKey) == 1)
            return std::nullopt;
        return refusal(400, "a WebSocket handshake is a GET without a body, with one Sec-WebSocket-Key of 16 bytes");
    }

    Step check_authority() {
        const auto authority = take_authority(head_, facts_.tls ? "https" : "http", facts_.name);
        if (!authority) return refusal(400, authority.error().detail);
        if (facts_.tls && authority->host != facts_.name)
            return refusal(421,
                           "this connection was made for " + facts_.name + ", the request is for " + authority->host);
        if (!authority->port_text.empty() && authority->port_text != std::to_string(facts_.port))
            return refusal(421, "Host names port " + authority->port_text + ", the connection was made to port " +
                                    std::to_string(facts_.port));
        destination_.host = authority->host;
        host_ = rules_.secrets->for_host(destination_.host);
        return std::nullopt;
    }

    Step check_target() {
        std::string why;
        target_ = policy::normalise_target(head_.target, why);
        if (!target_) return refusal(400, "the request target has no single meaning: " + why);
        return std::nullopt;
    }

    /// Names of fields that some origins read as others than they are here.
    Step check_names() {
        for (const auto& [name, value, sensitive] : head_.fields) {
            for (const auto path : kPathOverrides)
                if (wire::same_to_cgi(name, path))
                    return refusal(400, name + " would name another path than the request does");
            const auto poses_as = [&name = name](std::string_view known) {
                return wire::same_to_cgi(name, known) && !wire::equal_ignoring_case(name, known);
            };
            const auto& bound = host_.bound;
            if (std::ranges::any_of(kFraming, poses_as) || std::ranges::any_of(kMethodOverrides, poses_as) ||
                std::ranges::any_of(bound, [&](const auto& s) { return s.rule.header && poses_as(*s.rule.header); }))
                return refusal(400, name + " is read as another field by some origins, which take \"_\" for \"-\"");
        }
        return std::nullopt;
    }

    /// Frameworks act on the method that a request is overridden with.
    Step check_policy() {
        if (auto refused = check_policy_for(head_.method)) return refused;
        for (const auto& field : head_.fields)
            for (const auto name : kMethodOverrides)
                if (wire::equal_ignoring_case(field.name, name))
                    if (auto refused = check_override(field.value)) return refused;
        if (head_.method != "POST") return std::nullopt;
        for (const auto& [key, value] : policy::query_pairs(target_->query, true))
            if (key == "_method")
                if (auto refused = check_override(value)) return refused;
        return std::nullopt;
    }

    /// Of several methods some take the first, others the last.
    Step check_override(std::string_view method) {
        std::string upper(method);
        for (char& c : upper)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        if (!policy::is_method(upper))
            return refusal(400, "the method to override the request's with is not one method");
        return check_policy_for(method);
    }

    Step check_policy_for(std::string_view method) {
        const policy::RequestFacts facts{method, *target_};
        const auto verdict = policy::decide_request(*rules_.policy, destination_, facts);
        methods_.emplace_back(method);
        if (!rule_) rule_ = verdict.rule;  // that of the method itself, whatever it is overridden with
        if (verdict.would_deny && would_deny_.empty()) would_deny_ = policy::describe(verdict, destination_, &facts);
        if (verdict.allowed) return std::nullopt;
        auto r = refusal(403, policy::describe(verdict, destination_, &facts));
        if (verdict.rule) r.rule = verdict.rule->where.to_string();
        if (verdict.reason != policy::Reason::denied_by_rule)
            r.suggestion = policy::suggest_rule(destination_, &facts, facts_.tls);
        // A placeholder that goes astray is worth an alarm even where the policy refuses the request anyway.
        const auto text = target_->to_string();
        const auto found = secrets::inject({{}, host_.foreign}, {destination_.host, true, text}, head_.fields);
        if (const auto* astray = std::get_if<secrets::InjectionRefused>(&found); astray && astray->alarm)
            r.alarm = astray->reason;
        return r;
    }

    Step put_in_secrets() {
        head_.target = target_->to_string();
        const auto* route = rules_.policy->route_for(destination_.host);
        const bool tls = facts_.tls && (!route || route->tls);
        if (auto why = secrets::guessed(host_.bound); !why.empty()) {
            auto r = refusal(403, why);
            r.alarm = std::move(why);
            return r;
        }
        auto done = secrets::inject(host_, {destination_.host, tls, head_.target}, head_.fields);
        if (auto* refused = std::get_if<secrets::InjectionRefused>(&done)) {
            auto r = refusal(403, refused->reason);
            if (refused->alarm) r.alarm = refused->reason;
            return r;
        }
        secrets_ = std::move(std::get<secrets::Injected>(done).names);
        const auto& bound = host_.bound;
        if (bound.empty()) return std::nullopt;
        ask_for_readable(head_.fields);
        if (!tls) return std::nullopt;
        put_in_target();
        if (head_.body.kind != wire::Framing::none) body_ = secrets::body_syntax(bound, head_.fields);
        return std::nullopt;
    }

    /// The decision was made on the placeholder; nobody but the origin sees what comes in its place.
    void put_in_target() {
        std::set<std::string> used;
        auto target = secrets::with_secrets(host_.bound, head_.target, used);
        head_.sensitive_target = !used.empty();
        head_.target = std::move(target);
        for (const auto& name : used)
            if (std::find(secrets_.begin(), secrets_.end(), name) == secrets_.end()) secrets_.push_back(name);
    }

    Permit permit() {
        Permit p;
        p.destination = destination_;
        if (rule_) p.rule = rule_->where.to_string();
        p.would_deny = std::move(would_deny_);
        p.secrets = std::move(secrets_);
        p.target = target_->to_string();
        p.way = way_to(rules_, destination_, facts_.tls, rule_);
        p.tls = facts_.tls;
        p.methods = std::move(methods_);
        p.facts = std::move(*target_);
        p.bound = std::move(host_.bound);
        p.store = rules_.secrets;
        p.body = body_;
        wire::set(head_.fields, "Host", host_field(p.way.origin, p.way.tls));
        return p;
    }

    static std::string host_field(const Destination& to, bool tls) {
        const auto host = to.host.find(':') == std::string::npos ? to.host : "[" + to.host + "]";
        return to.port == (tls ? 443 : 80) ? host : host + ":" + std::to_string(to.port);
    }

    const Rules& rules_;
    const ConnectionFacts& facts_;
    RequestHead& head_;
    Destination destination_;
    std::optional<policy::Target> target_;
    const policy::Rule* rule_ = nullptr;
    std::string would_deny_;
    std::vector<std::string> methods_;
    std::vector<std::string> secrets_;
    secrets::HostSecrets host_;  ///< of the destination, once that is known
    std::optional<secrets::BodySyntax> body_;
};

}  // namespace

std::variant<Permit, Refusal> judge(const Rules& rules, const ConnectionFacts& facts, RequestHead& head) {
    return Judgement(rules, facts, head).run();
}

std::optional<Way> possible_way(const Rules& rules, const ConnectionFacts& facts) {
    const Destination destination{facts.name, facts.port};
    const auto* rule = policy::rule_for_some_request(*rules.policy, destination);
    if (!rule) return std::nullopt;
    return way_to(rules, destination, facts.tls, rule);
}

std::optional<std::string> objection(const Rules& rules, const Permit& permit) {
    const policy::Rule* rule = nullptr;
    for (const auto& method : permit.methods) {
        const policy::RequestFacts facts{method, permit.facts};
        const auto verdict = policy::decide_request(*rules.policy, permit.destination, facts);
        if (!verdict.allowed) return policy::describe(verdict, permit.destination, &facts);
        if (!rule) rule = verdict.rule;
    }
    const auto way = way_to(rules, permit.destination, permit.tls, rule);
    const auto& before = permit.way;
    if (way.origin.host != before.origin.host || way.origin.port != before.origin.port || way.tls != before.tls)
        return "requests to " + permit.destination.host + " go to another origin now";
    if (before.private_addresses && !way.private_addresses) return kPrivateNoMore;
    if (way.options_id() != before.options_id())
        return "TLS to " + way.origin.host + " is made otherwise now ([[origin]])";
    return std::nullopt;
}

std::optional<std::string> objection(const Rules& rules, const StreamPermit& permit) {
    const auto verdict = policy::decide_stream(*rules.policy, permit.destination, permit.tls);
    if (!verdict.allowed) return policy::describe(verdict, permit.destination, nullptr);
    if (permit.private_addresses && !(verdict.rule && verdict.rule->private_addresses)) return kPrivateNoMore;
    return std::nullopt;
}

}  // namespace sallyport::session
