#pragma once
// Makes every program of a system trust our CA, for good: in a container that gateway and sandbox share.

#include <string>
#include <vector>

namespace sallyport::container {

/// Call as root. Every file is replaced as a whole, so that no reader sees half of it; what is right already stays
/// untouched. A CA of ours that was installed before is replaced. Homes of users, and whatever else others than root
/// can write to, are left alone: root must not follow their links. `root`: where the system's "/" lies. Returns the
/// files that changed. Throws StartupError.
std::vector<std::string> trust_on_system(const std::string& ca_pem, const std::string& root = "");

}  // namespace sallyport::container
