#pragma once
// What the gate permits, the gate permits again in every form in which it is sent, and each form reads as the same
// request, to its last byte and by a second reader. A refusal's page is printable; the secret goes where it is bound
// and nowhere else.

#include <cstdlib>
#include <string>

#include "gateway/http/http1_writer.hpp"
#include "gateway/policy/load.hpp"
#include "gateway/session/gate.hpp"
#include "gateway/session/refusal_page.hpp"
#include "tests/fuzz/http1_feed.hpp"
#include "tests/fuzz/http2_feed.hpp"
#include "tests/fuzz/second_reader.hpp"

namespace sallyport::fuzz {

inline constexpr std::string_view kReal = "r3al-va1ue";

inline session::Rules load_rules() {
    ::setenv("SALLYPORT_FUZZ_SECRET", std::string(kReal).c_str(), 1);
    const auto loaded = policy::load(
        "[[allow]]\nhost='h.example'\npath=['/a/**', '/**/b*']\nmethod=['GET','POST']\n"
        "[[allow]]\nhost='open.example'\n[[deny]]\nhost='open.example'\npath='/a/secret/**'\n"
        "[[deny]]\nhost='open.example'\nquery={k='v*'}\n"
        "[[secret]]\nname='s'\nhost='h.example'\nheader='x-key'\nplaceholder='dummy-one'\n"
        "value={env='SALLYPORT_FUZZ_SECRET'}\n",
        "fuzz.toml");
    session::Rules rules{std::get<std::shared_ptr<const policy::Policy>>(loaded), nullptr};
    rules.secrets = std::make_shared<secrets::Store>(rules.policy);
    return rules;
}

inline void check_refusal(const session::Refusal& refusal, bool json) {
    for (const auto& page : {session::refusal_page(refusal, json, true), session::grpc_refusal(refusal, true)}) {
        for (const char c : page.body) require((c >= 0x20 && c < 0x7f) || c == '\n');
        require(page.body.find(kReal) == page.body.npos);
        for (const auto& [name, value, sensitive] : page.head.fields) require(printable(name) && printable(value));
    }
}

inline void require_same_permit(const session::Rules& rules, const session::ConnectionFacts& facts,
                                const session::Permit& permit, wire::RequestHead head) {
    const auto again = session::judge(rules, facts, head);
    const auto* repeated = std::get_if<session::Permit>(&again);
    require(repeated && repeated->rule == permit.rule && repeated->target == permit.target &&
            repeated->secrets == permit.secrets && repeated->methods == permit.methods &&
            repeated->destination.host == permit.destination.host);
}

inline void check_http1_form(const session::Rules& rules, const session::ConnectionFacts& facts,
                             const session::Permit& permit, wire::RequestHead head, std::string_view body,
                             const wire::Fields& trailers) {
    std::string text = http::request_text(head);
    require((text.find(kReal) != text.npos) == (facts.tls && facts.name == "h.example"));
    http::append_body(text, head.body.kind, {&body, 1});
    http::append_body_end(text, head.body.kind, trailers);
    require_second_reading(text, head, body, true);
    auto sent = feed<true>(text, text.size() + 1, false, false);
    require(sent.has_value() && sent->rest.empty() && sent->body == body);
    require_same_permit(rules, facts, permit, sent->head);
    for (const auto* added : {"Transfer-Encoding", "TE", "Connection", "Upgrade"}) {  // the writer's, or written last
        wire::erase(sent->head.fields, added);
        wire::erase(head.fields, added);
    }
    require(same(sent->head.fields, head.fields) && sent->head.target == head.target);
}

inline void check_http2_form(const session::Rules& rules, session::ConnectionFacts facts, const session::Permit& permit,
                             wire::RequestHead head, std::string_view body, const wire::Fields& trailers) {
    auto sent = through_http2(head, body, trailers);
    require_clean(sent.head);
    require(sent.body == body && sent.head.target == head.target && sent.head.method == head.method);
    facts.http2 = true;
    require_same_permit(rules, facts, permit, sent.head);
    for (const auto* joined : {"Cookie", "Content-Length", "Host"}) {  // written in another way, or in another place
        wire::erase(sent.head.fields, joined);
        wire::erase(head.fields, joined);
    }
    require(std::equal(
        sent.head.fields.begin(), sent.head.fields.end(), head.fields.begin(), head.fields.end(),
        [](const auto& a, const auto& b) { return wire::equal_ignoring_case(a.name, b.name) && a.value == b.value; }));
}

/// `body` and `trailers`: what came with `head`.
inline void check_gate(const session::Rules& rules, const session::ConnectionFacts& facts, bool proxied, bool json,
                       wire::RequestHead head, std::string_view body, const wire::Fields& trailers) {
    const auto came = head.fields;
    const auto once = session::judge(rules, facts, head);
    if (const auto* refusal = std::get_if<session::Refusal>(&once)) return check_refusal(*refusal, json);
    const auto& permit = std::get<session::Permit>(once);
    require(!(facts.tls || proxied) || permit.destination.host == facts.name);
    require(permit.destination.port == facts.port);
    require(!session::objection(rules, permit));
    require_clean(head);
    require(wire::count(head.fields, "Host") == 1);
    for (const auto& [name, value, sensitive] : head.fields) {  // what the client's Connection names stays with it
        const bool ours = sensitive || wire::equal_ignoring_case(name, "Host") ||
                          wire::equal_ignoring_case(name, "TE") || wire::equal_ignoring_case(name, "Content-Length");
        require(ours || !wire::has_token(came, "Connection", name));
    }
    check_http1_form(rules, facts, permit, head, body, trailers);
    if (head.upgrade.empty()) check_http2_form(rules, facts, permit, head, body, trailers);
}

}  // namespace sallyport::fuzz
