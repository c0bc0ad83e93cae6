#include "gateway/session/http_service.hpp"

#include <array>

#include "gateway/session/refusal_page.hpp"

namespace sallyport::session {
namespace {

using boost::asio::awaitable;

/// May be sent again when a kept connection turned out to be closed (RFC 9110, section 9.2.2).
bool is_idempotent(std::string_view method) {
    return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE";
}

}  // namespace

HttpService::HttpService(Gateway& gateway, net::Stream& client, ConnectionFacts facts, ClientAddr client_address,
                         OriginalDst original)
    : gateway_(gateway),
      client_(client),
      facts_(std::move(facts)),
      client_address_(client_address),
      original_(original),
      reader_(client) {}

awaitable<void> HttpService::run() {
    for (bool more = true; more;) {
        auto head = co_await next(gateway_.limits.keep_alive);
        if (!head) co_return;
        more = co_await serve(std::move(*head));
    }
}

awaitable<std::optional<wire::RequestHead>> HttpService::next(std::chrono::seconds idle) {
    auto& lifeline = client_.lifeline();
    lifeline.expect_within(idle, "idle between requests");
    if (const auto begins = co_await reader_.wait_message(); !begins) co_return std::nullopt;
    request_began_ = net::Clock::now();
    lifeline.expect_within(gateway_.limits.head, "the head of a request");
    auto head = co_await reader_.read_head();
    if (head) co_return std::move(*head);
    co_await refuse_unreadable(head.error());
    co_return std::nullopt;
}

awaitable<bool> HttpService::serve(wire::RequestHead head) {
    const bool json = accepts_json(head.fields);
    const std::string method = head.method;
    auto event = new_event();
    if (!gateway_.audit.healthy()) {
        Refusal refusal{503, {facts_.name, facts_.port}, method, {}, "the audit log cannot be written", {}, {}, {}};
        co_return co_await refuse(std::move(refusal), json, head, std::move(event));
    }
    auto verdict = judge(*gateway_.rules.current(), facts_, head);
    if (auto* refusal = std::get_if<Refusal>(&verdict))
        co_return co_await refuse(std::move(*refusal), json, head, std::move(event));

    const auto& permit = std::get<Permit>(verdict);
    const Passage passage(gateway_.rules, client_.lifeline(), [&permit](const Rules& rules) { return objection(rules, permit); });
    auto outcome = co_await forward(permit, head);
    event.bytes = {outcome.request_bytes, outcome.response_bytes};
    note_audit_mode(permit, event);
    if (outcome.reached) event.secrets = permit.secrets;
    if (auto failed = failure(permit, method, outcome)) {
        const bool went_out = outcome.reached && client_.lifeline().ended();   // before the policy changed
        if (failed->status >= 500 || went_out) event.decision = audit::Decision::allow;   // the policy did
        co_return co_await refuse(std::move(*failed), json, head, std::move(event));
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
    if (outcome.error)
        client_.reset();   // the client must not take a cut response for a whole one
    else if (!outcome.client_reusable)
        co_await linger();
    co_return outcome.client_reusable && !outcome.error;
}

std::optional<Refusal> HttpService::failure(const Permit& permit, const std::string& method,
                                            const http::ExchangeOutcome& outcome) {
    const auto& lifeline = client_.lifeline();
    if (!outcome.error || outcome.status != 0) return std::nullopt;
    if (lifeline.ended() && lifeline.reason().kind == ErrorKind::refused)
        return origin_failure(permit, method, lifeline.reason());
    if (lifeline.ended() && lifeline.reason().kind != ErrorKind::timed_out) return std::nullopt;
    auto refusal = origin_failure(permit, method, *outcome.error);
    if (!outcome.client_failed) return refusal;
    switch (outcome.error->kind) {
        case ErrorKind::malformed:
        case ErrorKind::too_large:
            refusal.status = 400;
            refusal.why = "the request's body has no single meaning: " + outcome.error->detail;
            return refusal;
        case ErrorKind::timed_out: refusal.status = 408; return refusal;
        default: return std::nullopt;
    }
}

awaitable<http::ExchangeOutcome> HttpService::forward(const Permit& permit, wire::RequestHead& head) {
    auto& lifeline = client_.lifeline();
    const http::OriginKey key{permit.origin.host, permit.origin.port, permit.origin_tls, permit.private_addresses,
                              permit.origin_options};
    http::ExchangeOutcome outcome;
    private_origin_.reset();
    for (const bool fresh : {false, true}) {
        lifeline.expect_within(gateway_.limits.connect, "connecting to the origin");
        auto origin = co_await gateway_.origins.acquire(key, lifeline, fresh);
        if (!origin) {
            outcome.error = origin.error();
            co_return outcome;
        }
        private_origin_ = gateway_.dialler.private_peer(key.host, key.port, (*origin)->stream.socket());
        lifeline.expect_within(gateway_.limits.exchange, "no byte in either direction");
        lifeline.watch_client(&client_);
        http::Exchange exchange(client_, reader_, **origin, head);
        outcome = co_await exchange.run();
        lifeline.watch_client(nullptr);
        if (outcome.origin_reusable) gateway_.origins.give_back(key, std::move(*origin));
        const bool again = outcome.stale && outcome.status == 0 && head.body.kind == wire::Framing::none &&
                           is_idempotent(head.method) && !lifeline.ended();
        if (!again) break;
    }
    co_return outcome;
}

awaitable<bool> HttpService::refuse(Refusal refusal, const wire::RequestHead& head) {
    auto event = new_event();
    co_return co_await refuse(std::move(refusal), accepts_json(head.fields), head, std::move(event));
}

awaitable<bool> HttpService::refuse(Refusal refusal, bool json, const wire::RequestHead& head, audit::RequestEvent event) {
    // What is left of the request's body is not worth reading: the connection ends.
    const bool close = !head.keep_alive || head.minor_version == 0 || head.body.kind != wire::Framing::none ||
                       client_.lifeline().ended();
    event.would_deny = event.would_deny && event.decision == audit::Decision::allow;
    event.rule = refusal.rule;
    event.reason = event.would_deny ? event.reason + ", ended: " + refusal.why : refusal.why;
    event.host = refusal.destination.host;
    event.port = refusal.destination.port;
    event.method = refusal.method;
    event.path = refusal.target;
    event.status = refusal.status;
    event.alarm = refusal.alarm;
    record(std::move(event));
    const auto text = refusal_response(refusal, {json, close, head.method != "HEAD", facts_.tls});
    if (const auto sent = co_await client_.write(text); !sent) co_return false;
    if (close) co_await linger();
    co_return !close;
}

/// A head that cannot be parsed is still answered, so that its sender learns why.
awaitable<void> HttpService::refuse_unreadable(const Error& error) {
    Refusal refusal;
    refusal.destination = {facts_.name, facts_.port};
    refusal.why = "the request is not one message with one meaning: " + error.detail;
    switch (error.kind) {
        case ErrorKind::malformed: refusal.status = 400; break;
        case ErrorKind::too_large: refusal.status = 431; break;
        case ErrorKind::timed_out:
            refusal.status = 408;
            refusal.why = error.detail;
            break;
        default: co_return;
    }
    wire::RequestHead unknown;
    unknown.keep_alive = false;
    co_await refuse(std::move(refusal), false, unknown, new_event());
}

/// Closes our side and reads what the client still sends, so that a reset does not overtake our last bytes.
awaitable<void> HttpService::linger() {
    constexpr std::size_t kMost = 64 * 1024 * 1024;   // clients that send all of a body before they read
    client_.shutdown_write();
    client_.lifeline().expect_within(gateway_.limits.linger, "lingering");
    std::array<char, 4096> block;
    for (std::size_t total = 0; total < kMost;) {
        const auto n = co_await client_.read_some(block);
        if (!n) break;
        total += *n;
    }
}

/// What enforcing the policy would have denied: by its rules, or because the origin's address is private.
void HttpService::note_audit_mode(const Permit& permit, audit::RequestEvent& event) const {
    event.reason = permit.would_deny;
    if (private_origin_ && permit.origin.host == permit.destination.host) {
        event.private_address = true;
        if (event.reason.empty() && !permit.private_addresses)
            event.reason = permit.destination.host + " has " + *private_origin_ + ", and the rule has no private = true";
    }
    event.would_deny = !event.reason.empty();
}

audit::RequestEvent HttpService::new_event() const {
    audit::RequestEvent event;
    event.client = client_address_;
    event.original_dst = original_;
    event.host = facts_.name;
    event.port = facts_.port;
    event.scheme = facts_.tls ? "https" : "http";
    return event;
}

void HttpService::record(audit::RequestEvent event) {
    event.duration = std::chrono::duration_cast<std::chrono::milliseconds>(net::Clock::now() - request_began_);
    gateway_.audit.record(std::move(event));
}

}  // namespace sallyport::session
