#pragma once
// Makes every program of the sandbox trust our CA, in the sandbox's mount namespace only: the machine stays untouched.

#include <span>
#include <string>

namespace sallyport::container {

/// Call in the sandbox's own mount namespace, with kGuardDirectory present and writable. `environment` is COMMAND's:
/// HOME, JAVA_HOME and the user's own certificate variables count. `writable`: COMMAND is root, whose package manager
/// may rebuild the system's bundle (our CA is among its anchors, so that it stays trusted). Throws StartupError.
void install_trust(const std::string& ca_pem, std::span<const std::string> environment, bool writable);

}  // namespace sallyport::container
