#include "gateway/app/outer_proxy.hpp"

#include <cstdlib>

#include "gateway/base/startup_error.hpp"

namespace sallyport::app {
namespace {

constexpr const char* kOption = "--outer-proxy";

struct Variable {
    const char* name;
    std::string value;
};

/// The first of the two that is not empty.
Variable variable(const char* name, const char* otherwise) {
    for (const char* tried : {name, otherwise})
        if (const char* value = std::getenv(tried); value && *value) return {tried, value};
    return {name, {}};
}

}  // namespace

std::optional<net::OuterProxy> outer_proxy(const std::optional<std::string>& option) {
    const auto from = option ? Variable{kOption, *option} : variable("HTTPS_PROXY", "https_proxy");
    if (from.value.empty()) return std::nullopt;
    const auto no_proxy = variable("NO_PROXY", "no_proxy");
    try {
        auto proxy = net::OuterProxy::parse(from.value, no_proxy.value, from.name);
        if (option && !proxy.authorization.empty())
            throw StartupError(std::string(kOption) +
                               ": user and password on a command line can be read by others, in the sandbox too: put "
                               "the URL into HTTPS_PROXY");
        return proxy;
    } catch (const StartupError& error) {
        if (option) throw;
        throw StartupError(std::string(error.what()) + "; --outer-proxy \"\" does without one");
    }
}

}  // namespace sallyport::app
