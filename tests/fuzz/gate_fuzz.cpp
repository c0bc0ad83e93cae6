// A request over HTTP/1.1 at the gate; see gate_oracle.hpp.

#include "gateway/session/authority.hpp"
#include "tests/fuzz/gate_oracle.hpp"

using namespace sallyport;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const session::Rules kRules = fuzz::load_rules();
    if (size == 0) return 0;
    const auto input = fuzz::text(data + 1, size - 1);
    if (input.find(fuzz::kReal) != input.npos) return 0;
    session::ConnectionFacts facts{(data[0] & 1) != 0, (data[0] & 2) ? "h.example" : "open.example",
                                   static_cast<std::uint16_t>((data[0] & 1) ? 443 : 80)};
    const auto request = fuzz::feed<true>(input, input.size() + 1, false, false);
    if (!request) return 0;
    const bool proxied = data[0] & 8;
    if (proxied) {
        const auto to = session::proxy_destination(request->head);
        if (!to) return 0;
        require(policy::canonical_host(to->host) == to->host && to->port != 0);
        facts = {false, to->host, to->port};
    }
    fuzz::check_gate(kRules, facts, proxied, data[0] & 4, request->head, request->body, request->trailers);
    return 0;
}
