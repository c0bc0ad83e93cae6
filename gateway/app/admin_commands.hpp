#pragma once
// `sallyport health`, `status` and `reload`: ask a running gateway.

#include <string>

namespace sallyport::app {

inline constexpr const char* kAdminSocket = "/run/sallyport/admin.sock";

/// Prints the answer, returns the program's exit status: 0 when all is well. Throws StartupError when no gateway
/// answers at `path`.
int ask_gateway(const std::string& request, const std::string& path);

}  // namespace sallyport::app
