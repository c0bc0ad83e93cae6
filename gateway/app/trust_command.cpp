#include "gateway/app/trust_command.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "container/files.hpp"
#include "container/trust_system.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::app {

int trust(const std::string& ca_file) {
    if (::geteuid() != 0) throw StartupError("trust changes the system's list of certificates, which only root can");
    const auto ca = container::read_file(ca_file);
    if (!ca)
        throw StartupError(ca_file +
                           " cannot be read; a gateway writes it there with --trust, or name another with --ca");
    const auto changed = container::trust_on_system(*ca);
    for (const auto& path : changed) fmt::print("trusted in {}\n", path);
    if (changed.empty()) fmt::print("trusted everywhere already\n");
    return 0;
}

}  // namespace sallyport::app
