#pragma once
// Secrets as one host sees them, without a policy.

#include <deque>
#include <span>
#include <string>

#include "gateway/secrets/scrubber.hpp"
#include "gateway/secrets/store.hpp"

namespace sallyport::test {

struct Vault {
    std::deque<policy::SecretRule> rules;
    std::deque<secrets::SecretValue> values;
    secrets::HostSecrets secrets;

    policy::SecretRule& bind(const std::string& name, std::string value) {
        auto& rule = add(name);
        values.emplace_back(std::span<char>(value.data(), value.size()));
        secrets.bound.push_back({rule, values.back(), secrets::forms_of(rule, values.back())});
        return rule;
    }
    policy::SecretRule& foreign(const std::string& name) {
        auto& rule = add(name);
        secrets.foreign.push_back(&rule);
        return rule;
    }

private:
    policy::SecretRule& add(const std::string& name) {
        rules.emplace_back().name = name;
        return rules.back();
    }
};

}  // namespace sallyport::test
