#pragma once
// Placeholders beyond header fields: in the target and in bodies of a request to a host that the secret is bound to,
// where the rule says so (placeholder_in). Only for what goes over TLS; the caller sees to that. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "gateway/secrets/replacer.hpp"
#include "gateway/secrets/store.hpp"
#include "gateway/wire/http_fields.hpp"

namespace sallyport::secrets {

/// Replaces them, raw or percent-encoded, by values that are percent-encoded. `target` is a path and a query.
std::string with_secrets(const std::vector<BoundSecret>& bound, std::string_view target, std::set<std::string>& used);

/// What a body is, as far as a value has to be written in it.
enum class BodySyntax { json, form };

/// nullopt: nothing is looked for in it, be it by the rules, by its Content-Type or since it is compressed.
std::optional<BodySyntax> body_syntax(const std::vector<BoundSecret>& bound, const wire::Fields& request);
/// Replaces them in a body. Refers to the secrets, which must outlive it.
Replacer body_injector(const std::vector<BoundSecret>& bound, BodySyntax);

}  // namespace sallyport::secrets
