#include "gateway/app/state_directory.hpp"

#include <unistd.h>

#include <cstdlib>

#include "gateway/base/startup_error.hpp"

namespace sallyport::app {
namespace {

std::filesystem::path absolute_from(const char* variable) {
    const char* value = std::getenv(variable);
    return value && *value == '/' ? value : "";
}

}  // namespace

std::filesystem::path state_directory() {
    if (::geteuid() == 0) return "/var/lib/sallyport";
    if (const auto data = absolute_from("XDG_DATA_HOME"); !data.empty()) return data / "sallyport";
    if (const auto home = absolute_from("HOME"); !home.empty()) return home / ".local/share/sallyport";
    throw StartupError("neither HOME nor XDG_DATA_HOME is set: there is no place for the certificate authority");
}

}  // namespace sallyport::app
