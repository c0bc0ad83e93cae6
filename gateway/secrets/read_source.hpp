#pragma once
// Gets one secret's value from where the policy says.

#include "gateway/policy/policy.hpp"
#include "gateway/secrets/run_command.hpp"
#include "gateway/secrets/secret_value.hpp"

namespace sallyport::secrets {

/// One line ending is cut off the end. Throws StartupError: see Store.
SecretValue read_source(const policy::SecretRule&, const RunCommand&);

}  // namespace sallyport::secrets
