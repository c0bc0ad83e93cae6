// Any text is read as an audit log; what is suggested from it is a policy, printable, that names no host beyond those
// that were seen, and allows each request that it does not put into a comment.

#include <sstream>

#include "gateway/audit/read_log.hpp"
#include "gateway/audit/suggest.hpp"
#include "gateway/policy/decide.hpp"
#include "gateway/policy/load.hpp"
#include "tests/fuzz/require.hpp"

using namespace sallyport;
using fuzz::require;

namespace {

std::shared_ptr<const policy::Policy> load(const std::string& text) {
    auto loaded = policy::load(text, "suggested.toml");
    require(std::holds_alternative<std::shared_ptr<const policy::Policy>>(loaded));
    return std::get<std::shared_ptr<const policy::Policy>>(loaded);
}

bool was_seen(const audit::LogContent& content, const std::string& host) {
    return std::any_of(content.seen.begin(), content.seen.end(),
                       [&](const auto& entry) { return policy::canonical_host(entry.first.host) == host; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::istringstream in{std::string(fuzz::text(data, size))};
    const auto content = audit::read_log(in);
    static const auto kNothing = load("");
    const auto text = audit::suggest(content, *kNothing);
    require(std::all_of(text.begin(), text.end(), [](char c) { return (c >= 0x20 && c < 0x7f) || c == '\n'; }));
    const auto suggested = load(text);
    for (const auto& rule : suggested->rules()) {
        if (rule.where.file != "suggested.toml") continue;  // a preset's
        require(rule.action == policy::Action::allow);
        for (const auto& host : rule.hosts)
            require(host.kind() == policy::HostPattern::Kind::exact && was_seen(content, host.name()));
    }
    require(audit::suggest(content, *suggested).find("[[allow]]") == std::string::npos);  // nothing is left to add
    return 0;
}
