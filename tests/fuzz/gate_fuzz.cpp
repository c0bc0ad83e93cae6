// What the gate permits, the gate permits again in the form that is sent; a refusal's page is printable; the secret
// goes where it is bound and nowhere else.

#include <cstdint>
#include <cstdlib>

#include "gateway/http/http1_writer.hpp"
#include "gateway/policy/load.hpp"
#include "gateway/session/authority.hpp"
#include "gateway/session/gate.hpp"
#include "gateway/session/refusal_page.hpp"
#include "tests/fuzz/http1_feed.hpp"

using namespace sallyport;
using fuzz::require;

namespace {

constexpr std::string_view kReal = "r3al-va1ue";

session::Rules load_rules() {
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

void check_refusal(const session::Refusal& refusal, bool json) {
    const auto page = session::refusal_page(refusal, json, true);
    for (const char c : page.body) require((c >= 0x20 && c < 0x7f) || c == '\n');
    require(page.body.find(kReal) == page.body.npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const session::Rules kRules = load_rules();
    if (size == 0) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
    if (input.find(kReal) != input.npos) return 0;
    session::ConnectionFacts facts{(data[0] & 1) != 0, (data[0] & 2) ? "h.example" : "open.example",
                                         static_cast<std::uint16_t>((data[0] & 1) ? 443 : 80)};
    auto request = fuzz::feed<true>(input, input.size() + 1, false, false);
    if (!request) return 0;
    auto head = std::move(request->head);
    const bool proxied = data[0] & 8;
    if (proxied) {
        const auto to = session::proxy_destination(head);
        if (!to) return 0;
        require(policy::canonical_host(to->host) == to->host && to->port != 0);
        facts = {false, to->host, to->port};
    }
    const auto once = session::judge(kRules, facts, head);
    if (const auto* refusal = std::get_if<session::Refusal>(&once)) {
        check_refusal(*refusal, data[0] & 4);
        return 0;
    }
    const auto& permit = std::get<session::Permit>(once);
    require(!(facts.tls || proxied) || permit.destination.host == facts.name);
    require(permit.destination.port == facts.port);
    std::string text = http::request_text(head);
    require((text.find(kReal) != text.npos) == (facts.tls && facts.name == "h.example"));
    require(wire::count(head.fields, "Host") == 1 && !wire::find(head.fields, "Connection"));

    const std::string_view body = request->body;
    http::append_body(text, head.body.kind, {&body, 1});
    http::append_body_end(text, head.body.kind, request->trailers);
    auto sent = fuzz::feed<true>(text, text.size() + 1, false, false);
    require(sent.has_value() && sent->rest.empty());
    const auto again = session::judge(kRules, facts, sent->head);
    const auto* repeated = std::get_if<session::Permit>(&again);
    require(repeated && repeated->rule == permit.rule && repeated->target == permit.target &&
            repeated->secrets == permit.secrets);
    for (const auto* moved : {"Transfer-Encoding", "TE"}) {  // written last, wherever they stood
        wire::erase(sent->head.fields, moved);
        wire::erase(head.fields, moved);
    }
    require(fuzz::same(sent->head.fields, head.fields) && sent->head.target == head.target);
    return 0;
}
