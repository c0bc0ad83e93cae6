#pragma once

#include <optional>
#include <string>

#include "gateway/net/outer_proxy.hpp"

namespace sallyport::app {

/// The proxy that `option` (--outer-proxy) names, "" for none; without the option the one of HTTPS_PROXY or
/// https_proxy in our environment. NO_PROXY or no_proxy holds for either. Throws StartupError.
std::optional<net::OuterProxy> outer_proxy(const std::optional<std::string>& option);

}  // namespace sallyport::app
