#pragma once
// What `sallyport explain [METHOD] URL` prints: the decision, the line that makes it and what would change it.

#include <string>
#include <string_view>

#include "gateway/policy/policy.hpp"

namespace sallyport::policy {

/// Text for a terminal, ending in a newline. `url` is https://, http:// (both: one request; `method` empty is GET),
/// ssh:// or tcp://HOST:PORT (both: a connection; `method` is to be empty). Secrets appear by name. Empty when the
/// arguments make no sense; `error` then says what was expected, without quoting the URL (it may hold a password).
std::string explain(const Policy& policy, std::string_view method, std::string_view url, std::string& error);

}  // namespace sallyport::policy
