#pragma once
// The environment of a guarded command: ours, without what it must not have. Pure.

#include <span>
#include <string>
#include <vector>

#include "gateway/secrets/store.hpp"

namespace sallyport::secrets {

/// What can be said before any secret is read: `environment` ("KEY=VALUE") without the variables that secrets come
/// from, or with their placeholders in their place.
std::vector<std::string> without_sources(std::span<const std::string> environment,
                                         std::span<const policy::SecretRule> secrets);

struct Withheld {
    std::string variable;
    std::string why;  ///< for the user to know; never a value
};

/// What is to be taken away once the values are known: variables in which a secret's value stands (values below 8
/// bytes count only as a whole, since they would stand nearly everywhere), and the proxy variables, which would make
/// clients look for a proxy that they cannot reach. A variable that without_sources() filled with a placeholder is
/// not among them.
std::vector<Withheld> to_withhold(std::span<const std::string> environment, std::span<const BoundSecret> secrets);

}  // namespace sallyport::secrets
