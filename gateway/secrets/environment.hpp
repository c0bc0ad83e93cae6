#pragma once
// The environment of a guarded command: ours, without what it must not have. Pure.

#include <span>
#include <string>
#include <vector>

#include "gateway/secrets/store.hpp"

namespace sallyport::secrets {

struct SandboxEnvironment {
    std::vector<std::string> variables;  ///< "KEY=VALUE"
    std::vector<std::string> withheld;   ///< "KEY (why)", for the user to know; never a value
};

/// `environment` is a list of "KEY=VALUE". A secret's own variable becomes its placeholder, or goes when there is
/// none. So do all other variables in which a secret's value stands (values below 8 bytes count only as a whole,
/// since they would stand nearly everywhere), and the proxy variables, which would make clients look for a proxy
/// that they cannot reach.
SandboxEnvironment sandbox_environment(std::span<const std::string> environment, std::span<const BoundSecret>);

}  // namespace sallyport::secrets
