#pragma once
// Policy files, from disk to value.

#include <memory>
#include <string>

#include "gateway/policy/load.hpp"

namespace sallyport::app {

/// Throws StartupError: the file cannot be read, or the list of all its mistakes, one a line.
/// In audit mode the default file may be missing: the policy is empty then.
std::shared_ptr<const policy::Policy> load_policy_file(const std::string& path,
                                                       policy::Mode mode = policy::Mode::enforce);
/// The same for a file called `name` that is open already; whether we could open it now does not matter.
std::shared_ptr<const policy::Policy> load_policy_file(const std::string& name, int file, policy::Mode mode);

}  // namespace sallyport::app
