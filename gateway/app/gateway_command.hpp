#pragma once
// `sallyport gateway`: serves a sandbox in containers, sealed behind a doorway or in a namespace that it shares.

#include <optional>
#include <string>
#include <vector>

#include "gateway/app/admin_commands.hpp"
#include "gateway/app/report.hpp"

namespace sallyport::app {

struct GatewayOptions {
    std::string policy_file = "/etc/sallyport/policy.toml";
    std::optional<std::string> doorway;  ///< its socket; without: the shared form
    bool guard = false;                  ///< program the rules of the shared form first
    std::string exempt = "cgroup";       ///< what they tell the gateway by: "cgroup", or the "user" below
    std::optional<std::string> user;     ///< name or number; to become once all that needs a privilege is open
    std::optional<std::string> audit_file;
    std::optional<std::string> trust_directory;
    std::optional<std::string> state;        ///< where the certificate authority is kept
    std::optional<std::string> origin_ca;    ///< trusted for origins, beside the system's
    std::optional<std::string> outer_proxy;  ///< as app::outer_proxy takes it
    std::string admin = kAdminSocket;
    std::vector<std::string> name_servers;
    policy::Mode mode = policy::Mode::enforce;
    ReportOptions report;
};

/// Until SIGTERM or SIGINT; ends the process. Throws StartupError when something is missing.
[[noreturn]] void gateway(const GatewayOptions&);

}  // namespace sallyport::app
