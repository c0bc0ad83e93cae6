#include "gateway/secrets/environment.hpp"

#include <algorithm>

#include "gateway/wire/http_fields.hpp"

namespace sallyport::secrets {
namespace {

constexpr std::size_t kShort = 8;

/// Also those of one tool, npm_config_https_proxy or CARGO_HTTP_PROXY: they tend to hold the same password.
bool is_proxy_variable(std::string_view key) {
    constexpr std::string_view kProxies[] = {"http_proxy", "https_proxy", "all_proxy",
                                             "ftp_proxy",  "no_proxy",    "npm_config_proxy"};
    return std::any_of(std::begin(kProxies), std::end(kProxies), [&](std::string_view name) {
        return key.size() >= name.size() && wire::equal_ignoring_case(name, key.substr(key.size() - name.size()));
    });
}

bool holds(std::string_view text, std::string_view secret) {
    return secret.size() < kShort ? text == secret : text.find(secret) != std::string_view::npos;
}

}  // namespace

std::vector<std::string> without_sources(std::span<const std::string> environment,
                                         std::span<const policy::SecretRule> secrets) {
    std::vector<std::string> out(environment.begin(), environment.end());
    for (const auto& secret : secrets) {
        if (!secret.value.env) continue;
        const auto key = *secret.value.env + "=";
        const auto removed = std::erase_if(out, [&](const std::string& entry) { return entry.starts_with(key); });
        if (removed > 0 && secret.placeholder) out.push_back(key + *secret.placeholder);
    }
    return out;
}

std::vector<Withheld> to_withhold(std::span<const std::string> environment, std::span<const BoundSecret> secrets) {
    std::vector<Withheld> out;
    for (const auto& variable : environment) {
        const auto equals = variable.find('=');
        if (equals == std::string::npos) continue;
        const std::string key = variable.substr(0, equals);
        const bool is_source = std::any_of(secrets.begin(), secrets.end(),
                                           [&](const BoundSecret& secret) { return secret.rule.value.env == key; });
        if (is_source) continue;
        const auto held = std::find_if(secrets.begin(), secrets.end(), [&](const BoundSecret& secret) {
            return holds(std::string_view(variable).substr(equals + 1), secret.value.reveal());
        });
        if (held != secrets.end()) out.push_back({key, "contains secret " + held->rule.name});
        else if (is_proxy_variable(key)) out.push_back({key, "a proxy"});
    }
    return out;
}

}  // namespace sallyport::secrets
