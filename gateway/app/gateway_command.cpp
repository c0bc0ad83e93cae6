// The order of the start: the rules, so that whatever goes wrong finds the sandbox closed; what may need a privilege
// (the authority's key, the trust folder, the log, ports, the admin socket); then we become the user that we serve as,
// without any; only then the secrets, so that a reload, which reads them again as that user, can read what the start
// could. Last the system calls and files that serving does not need: programs are started by a helper from then on.
#include "gateway/app/gateway_command.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "container/files.hpp"
#include "container/isolation.hpp"
#include "container/lockdown.hpp"
#include "container/shared.hpp"
#include "container/trust_directory.hpp"
#include "container/trust_layout.hpp"
#include "gateway/app/admin.hpp"
#include "gateway/app/command_helper.hpp"
#include "gateway/app/doorway_link.hpp"
#include "gateway/app/guard_command.hpp"
#include "gateway/app/harden.hpp"
#include "gateway/app/outer_proxy.hpp"
#include "gateway/app/policy_file.hpp"
#include "gateway/app/publisher.hpp"
#include "gateway/app/reloader.hpp"
#include "gateway/app/state_directory.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::app {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kDrainTime{500};  ///< for sessions to record their end
constexpr const char* kEnded = "the gateway has ended";
constexpr const char* kContainerState = "/var/lib/sallyport";

std::filesystem::path state_of(const GatewayOptions& options) {
    if (options.state) return *options.state;
    // In the image it belongs to the gateway's user, who has no home.
    return ::access(kContainerState, W_OK) == 0 ? kContainerState : state_directory();
}

ProxyOptions proxy_options(const GatewayOptions& options) {
    ProxyOptions proxy;
    proxy.name_servers = fmt::format("{}", fmt::join(options.name_servers, ","));
    proxy.outer_proxy = outer_proxy(options.outer_proxy);
    // What the variable tells clients in the namespace that we share: it would lead from us to us, for ever.
    if (proxy.outer_proxy && !options.doorway && proxy.outer_proxy->port == container::kExplicitProxyPort &&
        net::NoProxy().covers(proxy.outer_proxy->host, 0))
        throw StartupError(
            "the outer proxy of HTTPS_PROXY is this gateway itself; --outer-proxy \"\" does without one");
    if (!options.origin_ca) return proxy;
    proxy.trusted_pem = container::certificate_blocks(container::read_file(*options.origin_ca).value_or(""));
    proxy.trusts_system_too = true;
    if (proxy.trusted_pem.empty())
        throw StartupError("--origin-ca " + *options.origin_ca + " cannot be read, or holds no certificate");
    return proxy;
}

void require_readable_policy(const std::string& file) {
    if (::access(file.c_str(), R_OK) != 0)
        throw system_error(file + " must be readable for user " + std::to_string(::geteuid()) +
                               ", as whom the gateway reads it again when it changes",
                           errno);
}

/// What is open and known by the time that privileges are given up.
struct Prepared {
    std::shared_ptr<const policy::Policy> policy;
    std::unique_ptr<CommandHelper> commands;
    tls::Authority authority;
    ProxyOptions proxy;
    UniqueFd log;
    UniqueFd admin;
    Report report;
    container::GatewaySockets shared;  ///< of the shared form
    std::vector<UniqueFd> published;   ///< of the sealed form
};

Prepared prepare(const GatewayOptions& options) {
    if (options.guard) guard({options.policy_file, options.exempt == "user", options.user});
    auto policy = load_policy_file(options.policy_file, options.mode);
    const auto account = options.user ? container::account_of(*options.user) : container::Account{};
    if (!harden()) warn_of_swap();
    auto commands = std::make_unique<CommandHelper>(*policy, account);
    auto authority = tls::Authority::load_or_create(state_of(options));
    if (options.trust_directory)
        container::write_trust_directory(*options.trust_directory, authority.certificate_pem());
    auto log = options.audit_file ? audit::open_log(*options.audit_file) : UniqueFd();
    Report report(options.report, options.mode);
    auto proxy = proxy_options(options);
    container::GatewaySockets shared;
    std::vector<UniqueFd> published;
    if (options.doorway) published = open_published_ports(policy->publications());
    else shared = container::open_shared_sockets();
    auto admin = open_admin_socket(options.admin, options.user ? account.uid : ::geteuid());
    container::give_up_privileges(account);
    require_readable_policy(options.policy_file);
    return {std::move(policy), std::move(commands), std::move(authority), std::move(proxy),    std::move(log),
            std::move(admin),  std::move(report),   std::move(shared),    std::move(published)};
}

/// Until those that were ended have recorded it.
void drain(asio::io_context& io, const std::function<std::size_t()>& left) {
    io.restart();
    const auto limit = std::chrono::steady_clock::now() + kDrainTime;
    while (left() > 0 && io.run_one_until(limit) > 0) continue;
}

/// Without destructors: some session may not have ended, and refers to what they would take away.
[[noreturn]] void finish(const Report& report, std::optional<audit::Audit>& audit) {
    const bool denied = report.print(*audit);
    audit.reset();  // the log is on disk
    std::_Exit(denied ? kDeniedStatus : 0);
}

}  // namespace

void gateway(const GatewayOptions& options) {
    auto prepared = prepare(options);
    const Report& report = prepared.report;
    report.announce();
    const secrets::RunCommand run_command = [&commands = *prepared.commands](const auto& command, auto time_limit) {
        return commands.run(command, time_limit);
    };
    session::LiveRules rules({prepared.policy, std::make_shared<secrets::Store>(prepared.policy, run_command)});
    const auto confinement = container::lock_down();
    ::signal(SIGPIPE, SIG_IGN);
    asio::io_context io(1);
    asio::signal_set signals(io, SIGTERM, SIGINT);
    signals.async_wait([&io](const boost::system::error_code&, int) { io.stop(); });
    std::optional<audit::Audit> audit(std::in_place, options.audit_file.value_or(""), std::move(prepared.log));
    const auto make_proxy = [&](container::GatewaySockets sockets) {
        return std::make_unique<Proxy>(io, rules, prepared.authority, *audit, std::move(sockets), prepared.proxy);
    };
    ReloadOptions reload{options.policy_file};
    reload.run_command = run_command;
    Reloader reloader(io, rules, *audit, std::move(reload));
    reloader.reload_on_hangup();
    if (options.doorway) {
        Publisher publisher(io, *options.doorway, *audit, prepared.policy->publications(),
                            std::move(prepared.published));
        DoorwayLink link(io, *options.doorway, make_proxy, [&publisher] { publisher.end_all("the doorway has gone"); });
        const Admin admin(io, std::move(prepared.admin), reloader, *audit, [&] {
            return Serving{"sealed", link.sessions() + publisher.connections(), link.problem(), confinement.files};
        });
        link.start();
        io.run();
        link.stop();
        publisher.stop(kEnded);
        drain(io, [&] { return link.under_way() + publisher.connections(); });
        finish(report, audit);
    }
    const auto proxy = make_proxy(std::move(prepared.shared));
    const Admin admin(io, std::move(prepared.admin), reloader, *audit, [&] {
        return Serving{"shared", proxy->sessions(), {}, confinement.files};
    });
    fmt::print(stderr, "sallyport: serving the network namespace that we share\n");
    io.run();
    proxy->stop(kEnded);
    drain(io, [&] { return proxy->under_way(); });
    finish(report, audit);
}

}  // namespace sallyport::app
