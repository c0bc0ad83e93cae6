// Normalising a normalised target changes nothing, and neither does the decision on it.

#include <cstdint>
#include <cstdlib>

#include "gateway/policy/decide.hpp"
#include "gateway/policy/load.hpp"
#include "tests/fuzz/require.hpp"

using namespace sallyport::policy;
using sallyport::fuzz::require;

namespace {

const Policy& policy() {
    static const auto loaded = load(
        "[[allow]]\nhost='h.example'\npath=['/a/**', '/**/b*', '/@x/*', '/@x%2F*']\n"
        "[[deny]]\nhost='h.example'\npath='/a/secret/**'\n[[deny]]\nhost='h.example'\nquery={k='v*'}\n",
        "fuzz.toml");
    return *std::get<std::shared_ptr<const Policy>>(loaded);
}

bool has_hidden_step(std::string_view path) {
    return path.find("/../") != std::string_view::npos || path.find("/./") != std::string_view::npos ||
           path.ends_with("/..") || path.ends_with("/.");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string why;
    const auto once = normalise_target({reinterpret_cast<const char*>(data), size}, why);
    if (!once) {
        require(!why.empty());
        return 0;
    }
    const std::string forwarded = once->to_string();
    for (const char c : forwarded) require(c > 0x20 && c < 0x7f && c != '#');
    const auto twice = normalise_target(forwarded, why);
    require(twice && twice->to_string() == forwarded && twice->liberal_path == once->liberal_path);
    require(once->path == "*" || (once->path.starts_with('/') && !once->path.starts_with("//")));
    require(!has_hidden_step(once->path) && !has_hidden_step(once->liberal_path));

    const Destination to{"h.example", 443};
    const RequestFacts facts{"GET", *once};
    const RequestFacts again{"GET", *twice};
    const Verdict verdict = decide_request(policy(), to, facts);
    require(verdict.rule == decide_request(policy(), to, again).rule);

    // What is suggested allows the request, or says why nothing can.
    const std::string rule = suggest_rule(to, &facts, true);
    if (!rule.starts_with('#')) {
        const auto loaded = load(rule, "suggested.toml");
        require(decide_request(*std::get<std::shared_ptr<const Policy>>(loaded), to, facts).allowed);
    }
    for (const char c : describe(verdict, to, &facts)) require(c >= 0x20 && c < 0x7f);
    return 0;
}
