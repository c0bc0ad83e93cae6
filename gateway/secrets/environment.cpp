#include "gateway/secrets/environment.hpp"

#include <algorithm>
#include <optional>

#include "gateway/wire/http_fields.hpp"

namespace sallyport::secrets {
namespace {

constexpr std::size_t kShort = 8;

bool is_proxy_variable(std::string_view key) {
    constexpr std::string_view kProxies[] = {"http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy"};
    return std::any_of(std::begin(kProxies), std::end(kProxies),
                       [&](std::string_view name) { return wire::equal_ignoring_case(name, key); });
}

bool holds(std::string_view text, std::string_view secret) {
    return secret.size() < kShort ? text == secret : text.find(secret) != std::string_view::npos;
}

const BoundSecret* source_of(std::span<const BoundSecret> secrets, std::string_view key) {
    const auto found = std::find_if(secrets.begin(), secrets.end(),
                                    [&](const BoundSecret& secret) { return secret.rule.value.env == key; });
    return found == secrets.end() ? nullptr : &*found;
}

}  // namespace

SandboxEnvironment sandbox_environment(std::span<const std::string> environment, std::span<const BoundSecret> secrets) {
    SandboxEnvironment result;
    for (const auto& variable : environment) {
        const auto equals = variable.find('=');
        if (equals == std::string::npos) continue;
        const std::string key = variable.substr(0, equals);
        if (const auto* secret = source_of(secrets, key)) {
            if (secret->rule.placeholder)
                result.variables.push_back(key + "=" + *secret->rule.placeholder);
            else
                result.withheld.push_back(key + " (secret " + secret->rule.name + ")");
            continue;
        }
        const auto held = std::find_if(secrets.begin(), secrets.end(), [&](const BoundSecret& secret) {
            return holds(std::string_view(variable).substr(equals + 1), secret.value.reveal());
        });
        if (held != secrets.end())
            result.withheld.push_back(key + " (contains secret " + held->rule.name + ")");
        else if (is_proxy_variable(key))
            result.withheld.push_back(key + " (a proxy)");
        else
            result.variables.push_back(variable);
    }
    return result;
}

}  // namespace sallyport::secrets
