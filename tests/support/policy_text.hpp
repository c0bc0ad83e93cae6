#pragma once
// Policies and targets from text that the test wrote itself: a mistake in it fails the test.

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>

#include "gateway/policy/decide.hpp"
#include "gateway/policy/load.hpp"

namespace sallyport::policy {

/// A host that is allowed in part, another protocol by port, and a deny within what is allowed.
inline constexpr const char* kGithub = R"(
[[allow]]
host   = "api.github.com"
method = ["GET", "HEAD"]
path   = "/repos/acme/**"

[[allow]]
host = "github.com"
port = 22

[[deny]]
host = "api.github.com"
path = "/repos/acme/secret/**"
)";

inline std::shared_ptr<const Policy> policy_of(std::string_view text) {
    const LoadResult result = load(text, "sallyport.toml");
    if (const auto* mistakes = std::get_if<std::vector<Mistake>>(&result))
        for (const Mistake& mistake : *mistakes) FAIL_CHECK(mistake.to_string());
    REQUIRE(std::holds_alternative<std::shared_ptr<const Policy>>(result));
    return std::get<std::shared_ptr<const Policy>>(result);
}

inline Target target_of(std::string_view text) {
    std::string why;
    auto target = normalise_target(text, why);
    INFO(std::string(text), ": ", why);
    REQUIRE(target);
    return *target;
}

inline Verdict request(const Policy& policy, std::string host, std::string_view method, std::string_view target,
                       std::uint16_t port = 443) {
    const Target normalised = target_of(target);
    return decide_request(policy, {std::move(host), port}, {method, normalised});
}

}  // namespace sallyport::policy
