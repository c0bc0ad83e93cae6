// The command line. What each command does is in gateway/app.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>

#include "gateway/app/admin_commands.hpp"
#include "gateway/app/doctor.hpp"
#include "gateway/app/doorway_command.hpp"
#include "gateway/app/gateway_command.hpp"
#include "gateway/app/guard_command.hpp"
#include "gateway/app/policy_commands.hpp"
#include "gateway/app/run.hpp"
#include "gateway/app/suggest.hpp"
#include "gateway/app/trust_command.hpp"
#include "gateway/base/startup_error.hpp"

namespace {

constexpr int kOwnFailure = 125;   // as docker run and timeout(1) have it: not a status of the command

/// Whoever closed one of these for us: its number would go to the next file or connection that we open, and error
/// messages into that.
void open_standard_descriptors() {
    int fd = -1;
    do fd = ::open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    ::close(fd);
}

using namespace sallyport;

void add_mode(CLI::App& command, policy::Mode& mode) {
    static const std::map<std::string, policy::Mode> kModes{{"enforce", policy::Mode::enforce},
                                                            {"audit", policy::Mode::audit}};
    command.add_option("--mode", mode, "enforce (default), or audit: enforce nothing, log what would be denied")
        ->transform(CLI::Transformer(kModes))
        ->type_name("MODE");
}

void add_report(CLI::App& command, app::ReportOptions& report) {
    command.add_flag("--quiet", report.quiet, "No summary at the end");
    command.add_option("--summary", report.markdown_file, "Append a table of what happened, in Markdown")
        ->envname("GITHUB_STEP_SUMMARY")
        ->type_name("FILE");
    command.add_flag("--fail-on-deny", report.fail_on_deny, "Exit with 1 when something was denied (audit: would be)");
}

void add_gateway_options(CLI::App& gateway, app::GatewayOptions& options) {
    gateway.add_option("--policy", options.policy_file, "Policy (default: /etc/sallyport/policy.toml)")->type_name("FILE");
    gateway.add_option("--doorway", options.doorway, "Socket of the doorway that sealed the sandbox's namespace")->type_name("PATH");
    auto* guard = gateway.add_flag("--guard", options.guard, "Program the rules of the shared form first");
    guard->excludes(gateway.get_option("--doorway"));
    gateway.add_option("--exempt", options.exempt, "What the rules tell the gateway by: cgroup (default), or user, that of --user")
        ->check(CLI::IsMember({"cgroup", "user"}))
        ->needs(guard);
    gateway.add_option("--user", options.user, "Whom to become once everything is open")->type_name("NAME|UID");
    gateway.add_option("--audit", options.audit_file, "Append a JSON line for each request and refusal")->type_name("FILE");
    gateway.add_option("--trust", options.trust_directory, "Write what the sandbox needs to trust our CA")->type_name("DIR");
    gateway.add_option("--state", options.state, "Where the CA's key is kept (default: /var/lib/sallyport)")->type_name("DIR");
    gateway.add_option("--admin", options.admin, "Where health, status and reload ask (default: " + options.admin + ")")->type_name("PATH");
    gateway.add_option("--origin-ca", options.origin_ca, "Trust these authorities too when dialling")->type_name("FILE");
    gateway.add_option("--name-server", options.name_servers, "Resolve by this server, not by the system's")->type_name("ADDR");
    add_mode(gateway, options.mode);
    add_report(gateway, options.report);
}

int dispatch(int argc, char** argv) {
    CLI::App cli("Decides what may leave a sandbox, and puts the real secrets in on the way out.", "sallyport");
    cli.require_subcommand(1);
    cli.set_version_flag("--version", "sallyport " SALLYPORT_VERSION);

    app::RunOptions run_options;
    auto* run = cli.add_subcommand("run", "Run a command that reaches only what the policy allows");
    run->footer("For example: sallyport run --policy sallyport.toml -- npm ci");
    run->add_option("--policy", run_options.policy_file, "Policy (default: sallyport.toml in this folder)")->type_name("FILE");
    run->add_option("--audit", run_options.audit_file, "Append a JSON line for each request and refusal")->type_name("FILE");
    add_mode(*run, run_options.mode);
    add_report(*run, run_options.report);
    run->add_option("COMMAND", run_options.command, "What to run, after --")->required();

    std::vector<std::string> files;
    auto* check = cli.add_subcommand("check", "Say whether policy files are right, and every mistake in them");
    check->add_option("FILE", files, "Policy files")->required();

    std::string policy_file = "sallyport.toml";
    std::vector<std::string> words;
    auto* explain = cli.add_subcommand("explain", "Say what would happen to a request, and which line decides");
    explain->footer("For example: sallyport explain POST https://api.github.com/gists");
    explain->add_option("--policy", policy_file, "Policy (default: sallyport.toml in this folder)")->type_name("FILE");
    explain->add_option("REQUEST", words, "A URL, with the request method before it (default: GET)")->required()->expected(1, 2);

    app::SuggestOptions suggest_options;
    auto* suggest = cli.add_subcommand("suggest", "Print the smallest policy that covers an audit log, for review");
    suggest->footer("For example: sallyport suggest audit.jsonl > sallyport.toml");
    suggest->add_option("LOG", suggest_options.log_file, "What --audit wrote")->required();
    suggest->add_option("--policy", suggest_options.policy_file, "Print only what this policy does not allow yet")
        ->type_name("FILE");

    std::string doorway_socket;
    auto* doorway = cli.add_subcommand("doorway", "Seal this network namespace and hand its sockets to a gateway");
    doorway->add_option("--socket", doorway_socket, "Where the gateway connects")->required()->type_name("PATH");

    app::GatewayOptions gateway_options;
    auto* gateway = cli.add_subcommand("gateway", "Serve a sandbox in a container");
    add_gateway_options(*gateway, gateway_options);

    app::GuardOptions guard_options;
    auto* guard = cli.add_subcommand("guard", "Only program the rules of the shared form");
    guard->add_option("--user", guard_options.user, "The gateway's user, whom the rules let out")->required()->type_name("NAME|UID");
    guard->add_option("--policy", guard_options.policy_file, "Policy, for its [[publish]]")->type_name("FILE");

    const auto* unguard = cli.add_subcommand("unguard", "Take the rules of the shared form away again");

    std::string preset;
    auto* presets = cli.add_subcommand("presets", "List the presets that ship with sallyport, or print one");
    presets->add_option("NAME", preset, "Preset to print");

    std::string ca_file = "/run/sallyport/trust/ca.pem";
    auto* trust = cli.add_subcommand("trust", "As root in a container: make every program there trust the gateway's CA");
    trust->add_option("--ca", ca_file, "The CA (default: /run/sallyport/trust/ca.pem)")->type_name("FILE");

    std::string admin = app::kAdminSocket;
    const auto add_question = [&](const char* name, const char* description) {
        auto* question = cli.add_subcommand(name, description);
        question->add_option("--admin", admin, "The gateway's admin socket (default: " + admin + ")")->type_name("PATH");
        return question;
    };
    auto* health = add_question("health", "Say whether the gateway serves, by exit status too");
    std::optional<std::string> health_doorway;
    health->add_option("--doorway", health_doorway, "Ask a doorway instead, at its socket")
        ->type_name("PATH")
        ->excludes(health->get_option("--admin"));
    const auto* status = add_question("status", "Say what the gateway serves, and under which policy");
    const auto* reload = add_question("reload", "Make the gateway read its policy and secrets again");

    auto* doctor = cli.add_subcommand("doctor", "Try, inside a sandbox, what would undo its guard; say what to change");

    try {
        cli.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int code = cli.exit(error);
        return code == 0 ? 0 : run->parsed() || doorway->parsed() || gateway->parsed() || guard->parsed() ? kOwnFailure : 2;
    }
    if (*run) app::run(run_options);
    if (*doorway) return app::doorway(doorway_socket);
    if (*gateway) app::gateway(gateway_options);
    if (*guard) {
        app::guard(guard_options);
        return 0;
    }
    if (*unguard) {
        app::unguard();
        return 0;
    }
    if (*health && health_doorway) return app::doorway_health(*health_doorway);
    if (*doctor) return app::doctor();
    for (const auto* question : {static_cast<const CLI::App*>(health), status, reload})
        if (*question) return app::ask_gateway(question->get_name(), admin);
    if (*check) return app::check(files);
    if (*trust) return app::trust(ca_file);
    if (*suggest) return app::suggest(suggest_options);
    if (*explain) return app::explain(policy_file, words);
    return app::presets(preset);
}

}  // namespace

int main(int argc, char** argv) {
    open_standard_descriptors();
    try {
        return dispatch(argc, argv);
    } catch (const sallyport::StartupError& error) {
        fmt::print(stderr, "sallyport: {}\n", error.what());
    } catch (const std::exception& error) {
        fmt::print(stderr, "sallyport: internal error: {}\n", error.what());
    }
    return kOwnFailure;
}
