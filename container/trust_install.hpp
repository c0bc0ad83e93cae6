#pragma once
// Makes every program of the sandbox trust our CA, in the sandbox's mount namespace only: the machine stays untouched.

#include <span>
#include <string>
#include <vector>

namespace sallyport::container {

struct TrustRequest {
    std::string ca_pem;
    std::string home, java_home;     ///< COMMAND's; may be empty
    std::vector<std::string> extra;  ///< own_bundles(): files of the user that stay trusted
    std::string node_extra;          ///< own_node_extra()
    bool writable = false;  ///< COMMAND is root, whose package manager may rebuild the system's bundle; our CA is among
                            ///< its anchors, so that it stays trusted
};

/// `environment`: COMMAND's before trust_environment() is applied to it.
TrustRequest trust_request(const std::string& ca_pem, std::span<const std::string> environment, bool writable);

/// Call in the sandbox's own mount namespace, with kGuardDirectory present and writable. Throws StartupError.
void install_trust(const TrustRequest& request);

}  // namespace sallyport::container
