#include "gateway/app/guard_command.hpp"

#include <fmt/format.h>
#include <linux/capability.h>

#include <cstdio>

#include "container/account.hpp"
#include "container/isolation.hpp"
#include "container/shared.hpp"
#include "gateway/app/policy_file.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::app {
namespace {

constexpr uid_t kNobodyExempt = 0;  // refused, after everything has been closed

std::vector<std::uint16_t> published_ports(const std::string& policy_file) {
    const auto policy = load_policy_file(policy_file);
    std::vector<std::uint16_t> ports;
    for (const auto& publication : policy->publications()) {
        if (publication.listen != publication.port)
            throw StartupError(
                publication.where.to_string() +
                ": listen and port are one where the gateway shares the sandbox's network: leave listen out");
        ports.push_back(publication.port);
    }
    return ports;
}

container::SharedSpec spec_of(const GuardOptions& options) {
    container::SharedSpec spec;
    if (options.exempt_user && !options.user)
        throw StartupError("--exempt user needs --user NAME, a user who is the gateway's alone");
    if (options.exempt_user) spec.exempt = container::ExemptUser{container::account_of(*options.user).uid};
    if (options.policy_file) spec.published = published_ports(*options.policy_file);
    return spec;
}

void close_namespace() {
    try {
        container::guard_shared_namespace({container::ExemptUser{kNobodyExempt}, {}});
    } catch (const StartupError&) {
        // What made us close it is what the user has to hear.
    }
}

}  // namespace

void guard(const GuardOptions& options) {
    if (!container::has_capability(CAP_NET_ADMIN))
        throw StartupError(
            "guarding this network namespace needs the capability NET_ADMIN: start it as root with "
            "cap_add: [NET_ADMIN]");
    container::SharedSpec spec;
    try {
        spec = spec_of(options);
    } catch (const StartupError&) {
        close_namespace();
        throw;
    }
    container::guard_shared_namespace(spec);
}

void unguard() {
    if (!container::has_capability(CAP_NET_ADMIN))
        throw StartupError("taking the rules away needs the capability NET_ADMIN: start it as root");
    container::unguard_shared_namespace();
    fmt::print(stderr, "sallyport: this network namespace is not guarded any more\n");
}

}  // namespace sallyport::app
