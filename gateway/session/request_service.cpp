#include "gateway/session/request_service.hpp"

#include <algorithm>

#include "gateway/session/edited_end.hpp"
#include "gateway/session/refusal_page.hpp"

namespace sallyport::session {
namespace {

using boost::asio::awaitable;

constexpr std::uint32_t kRefusedStream = 7;  // RFC 9113, section 8.7: nobody has acted on it

/// May be sent again when a kept connection turned out to be closed (RFC 9110, section 9.2.2).
bool is_idempotent(std::string_view method) {
    return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE";
}

}  // namespace

http::OriginKey origin_key(const Way& way, const ConnectionFacts& facts) {
    using Protocol = http::OriginKey::Protocol;
    http::OriginKey key{way.origin.host,       way.origin.port,      way.tls,
                        way.private_addresses, Protocol::negotiated, way.options};
    // Without TLS nothing is agreed on: whoever speaks HTTP/2 knows that the other side does (RFC 9113, section 3.3).
    if (facts.http2 && !facts.tls && !way.tls) key.protocol = Protocol::http2;
    return key;
}

RequestService::RequestService(Gateway& gateway, const RequestSource& source, const ConnectionFacts& facts,
                               http::ClientEnd& client, net::Clock::time_point began)
    : gateway_(gateway), source_(source), facts_(facts), client_(client), began_(began) {}

awaitable<bool> RequestService::serve(wire::RequestHead head) {
    const std::string method = head.method;
    auto event = new_event();
    if (!gateway_.audit.healthy()) {
        Refusal refusal{503, {facts_.name, facts_.port}, method, {}, audit::kUnwritable, {}, {}, {}};
        co_return co_await refuse(std::move(refusal), head, std::move(event));
    }
    auto verdict = judge(*gateway_.rules.current(), facts_, head);
    if (auto* refusal = std::get_if<Refusal>(&verdict))
        co_return co_await refuse(std::move(*refusal), head, std::move(event));

    const auto& permit = std::get<Permit>(verdict);
    auto& lifeline = client_.lifeline();
    const Passage passage(gateway_.rules, lifeline, [&permit](const Rules& rules) { return objection(rules, permit); });
    auto outcome = co_await forward(permit, head);
    event.bytes = {outcome.request_bytes, outcome.response_bytes};
    note_audit_mode(permit, event);
    if (outcome.reached) event.secrets = permit.secrets;
    for (const auto& name : injected_)
        if (std::find(event.secrets.begin(), event.secrets.end(), name) == event.secrets.end())
            event.secrets.push_back(name);
    event.scrubbed = scrubbed_;
    event.alarm = alarm_;
    if (auto failed = failure(permit, method, outcome)) {
        const bool went_out = outcome.reached && lifeline.ended();                       // before the policy changed
        if (failed->status >= 500 || went_out) event.decision = audit::Decision::allow;  // the policy did
        co_return co_await refuse(std::move(*failed), head, std::move(event));
    }
    event.decision = audit::Decision::allow;
    event.rule = permit.rule;
    if (!event.would_deny) event.reason = "allowed";
    if (outcome.error) event.reason += ", ended: " + outcome.error->detail;
    event.host = permit.destination.host;
    event.method = method;
    event.path = permit.target;
    event.status = outcome.status;
    record(std::move(event));
    if (outcome.error) client_.cut(outcome.reset_code);
    else if (!outcome.whole) client_.abandon_request();
    co_return !outcome.error;
}

std::optional<Refusal> RequestService::failure(const Permit& permit, const std::string& method,
                                               const http::ExchangeOutcome& outcome) {
    const auto& lifeline = client_.lifeline();
    if (!outcome.error || outcome.status != 0) return std::nullopt;
    if (lifeline.ended()) {
        const auto kind = lifeline.reason().kind;
        if (kind == ErrorKind::refused || kind == ErrorKind::unavailable)
            return origin_failure(permit, method, lifeline.reason());
        if (kind != ErrorKind::timed_out) return std::nullopt;
    }
    if (outcome.reset_code == kRefusedStream && client_.knows_refused_streams()) return std::nullopt;  // to be cut
    auto refusal = origin_failure(permit, method, *outcome.error);
    if (!outcome.client_failed) return refusal;
    switch (outcome.error->kind) {
        case ErrorKind::malformed:
        case ErrorKind::too_large:
            refusal.status = 400;
            refusal.why = "the request's body has no single meaning: " + outcome.error->detail;
            return refusal;
        case ErrorKind::timed_out:
            refusal.status = 408;
            return refusal;
        default:
            return std::nullopt;
    }
}

awaitable<http::ExchangeOutcome> RequestService::forward(const Permit& permit, wire::RequestHead& head) {
    auto& lifeline = client_.lifeline();
    auto key = origin_key(permit.way, facts_);
    if (!head.upgrade.empty()) key.protocol = http::OriginKey::Protocol::http1;  // which every origin of it speaks
    http::ExchangeOutcome outcome;
    private_origin_.reset();
    std::optional<InjectedClient> injected;
    if (permit.body) {
        injected.emplace(client_, permit.bound, *permit.body);
        lifeline.expect_within(gateway_.limits.exchange, "the request's body");
        if (auto prepared = co_await injected->prepare(head); !prepared) {
            outcome.error = prepared.error();
            outcome.client_failed = true;
            co_return outcome;
        }
    }
    http::ClientEnd& client = injected ? static_cast<http::ClientEnd&>(*injected) : client_;
    for (const bool fresh : {false, true}) {
        lifeline.expect_within(gateway_.limits.connect, "connecting to the origin");
        auto origin = co_await gateway_.origins.acquire(key, lifeline, fresh);
        if (!origin) {
            outcome.error = origin.error();
            co_return outcome;
        }
        private_origin_ = (*origin)->private_address();
        lifeline.expect_within(gateway_.limits.exchange, "no byte in either direction");
        std::optional<ScrubbedOrigin> scrubbed;
        if (!permit.bound.empty()) scrubbed.emplace(**origin, permit.bound, lifeline);
        http::OriginEnd& end = scrubbed ? static_cast<http::OriginEnd&>(*scrubbed) : **origin;
        http::Exchange exchange(client, end, head, gateway_.limits.tunnel);
        outcome = co_await exchange.run();
        if (injected) injected_ = injected->used();
        if (scrubbed) {
            scrubbed_ = scrubbed->found();
            alarm_ = scrubbed->alarm();
        }
        if (outcome.whole) (*origin)->finish();
        const bool harmless = is_idempotent(head.method) || outcome.reset_code == kRefusedStream;
        const bool again = outcome.stale && head.body.kind == wire::Framing::none && harmless && !lifeline.ended();
        if (!again) break;
    }
    co_return outcome;
}

awaitable<bool> RequestService::refuse(Refusal refusal, const wire::RequestHead& head) {
    auto event = new_event();
    co_return co_await refuse(std::move(refusal), head, std::move(event));
}

awaitable<bool> RequestService::refuse(Refusal refusal, const wire::RequestHead& head, audit::RequestEvent event) {
    client_.abandon_request();
    event.would_deny = event.would_deny && event.decision == audit::Decision::allow;
    event.rule = refusal.rule;
    event.reason = event.would_deny ? event.reason + ", ended: " + refusal.why : refusal.why;
    event.host = refusal.destination.host;
    event.port = refusal.destination.port;
    event.method = refusal.method;
    event.path = refusal.target;
    event.status = refusal.status;
    if (!refusal.alarm.empty()) event.alarm = refusal.alarm;
    record(std::move(event));
    auto page = is_grpc(head.fields) ? grpc_refusal(refusal, facts_.tls)
                                     : refusal_page(refusal, accepts_json(head.fields), facts_.tls);
    const bool with_body = head.method != "HEAD";
    if (!with_body) page.head.body = {};
    client_.start(page.head);
    const std::string_view body = page.body;
    const http::Pieces pieces(&body, with_body ? 1 : 0);
    const wire::Fields no_trailers;
    const auto sent = co_await client_.write(pieces, &no_trailers);
    co_return sent.has_value();
}

awaitable<bool> RequestService::refuse_unreadable(const Error& error) {
    Refusal refusal;
    refusal.destination = {facts_.name, facts_.port};
    refusal.why = "the request is not one message with one meaning: " + error.detail;
    switch (error.kind) {
        case ErrorKind::malformed:
            refusal.status = 400;
            break;
        case ErrorKind::too_large:
            refusal.status = 431;
            break;
        case ErrorKind::timed_out:
            refusal.status = 408;
            refusal.why = error.detail;
            break;
        default:
            co_return false;
    }
    const wire::RequestHead unknown;
    co_return co_await refuse(std::move(refusal), unknown, new_event());
}

/// What enforcing the policy would have denied: by its rules, or because the origin's address is private.
void RequestService::note_audit_mode(const Permit& permit, audit::RequestEvent& event) const {
    event.reason = permit.would_deny;
    if (private_origin_ && permit.way.origin.host == permit.destination.host) {
        event.private_address = true;
        if (event.reason.empty() && !permit.way.private_addresses)
            event.reason =
                permit.destination.host + " has " + *private_origin_ + ", and the rule has no private = true";
    }
    event.would_deny = !event.reason.empty();
}

audit::RequestEvent RequestService::new_event() const {
    audit::RequestEvent event;
    event.client = source_.client;
    event.original_dst = source_.original;
    event.host = facts_.name;
    event.port = facts_.port;
    event.scheme = facts_.tls ? "https" : "http";
    return event;
}

void RequestService::record(audit::RequestEvent event) {
    event.duration = std::chrono::duration_cast<std::chrono::milliseconds>(net::Clock::now() - began_);
    gateway_.audit.record(std::move(event));
}

}  // namespace sallyport::session
