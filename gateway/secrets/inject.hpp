#pragma once
// Puts secrets into a request on its way to a host that they are bound to, and stops their placeholders on the way
// to any other. Pure.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/secrets/store.hpp"
#include "gateway/wire/http_fields.hpp"

namespace sallyport::secrets {

/// Where the request goes. `target` is its path and query.
struct Destination {
    std::string_view host;
    bool tls = false;
    std::string_view target;
};

/// Names of the secrets that the request now carries, in the policy's order.
struct Injected {
    std::vector<std::string> names;
};

/// `reason` is one sentence that names the secret. `alarm`: a placeholder was on its way to a host that it is not
/// meant for, which no honest client does.
struct InjectionRefused {
    std::string reason;
    bool alarm = false;
};

/// Rewrites `fields`, but for Host:
/// - each placeholder of a bound secret that is looked for in header fields is replaced by the value, also within the
///   Base64 of Basic credentials;
/// - each bound secret with a header (or HTTP Basic) is set, replacing every field of that name that the client sent;
///   then other credentials (wire::is_credential) in which no such placeholder stood are removed.
/// Refused, with `fields` unchanged: a foreign placeholder in a field's name or value or in the target, in any letter
/// case, raw, percent-encoded or in Basic credentials; and, without TLS, any placeholder or any secret to be set.
std::variant<Injected, InjectionRefused> inject(const HostSecrets&, const Destination&, wire::Fields& fields);

}  // namespace sallyport::secrets
