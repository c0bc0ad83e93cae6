// Each command adds itself to the command line; the work is in a file of its own.
#include "gateway/app/command_line.hpp"

#include <CLI/CLI.hpp>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/app/admin_commands.hpp"
#include "gateway/app/doctor.hpp"
#include "gateway/app/doorway_command.hpp"
#include "gateway/app/gateway_command.hpp"
#include "gateway/app/guard_command.hpp"
#include "gateway/app/policy_commands.hpp"
#include "gateway/app/run.hpp"
#include "gateway/app/suggest.hpp"
#include "gateway/app/trust_command.hpp"

namespace sallyport::app {
namespace {

constexpr int kUsageFailure = 2;

/// What they parse into lives in their callbacks, which CLI11 calls when all arguments were understood.
void add_mode(CLI::App& command, policy::Mode& mode) {
    static const std::map<std::string, policy::Mode> kModes{{"enforce", policy::Mode::enforce},
                                                            {"audit", policy::Mode::audit}};
    command.add_option("--mode", mode, "enforce (default), or audit: enforce nothing, log what would be denied")
        ->transform(CLI::Transformer(kModes))
        ->type_name("MODE");
}

void add_outer_proxy(CLI::App& command, std::optional<std::string>& proxy) {
    command
        .add_option("--outer-proxy", proxy,
                    "Reach origins through this HTTP proxy (default: HTTPS_PROXY); \"\" for none")
        ->type_name("URL");
}

void add_report(CLI::App& command, ReportOptions& report) {
    command.add_flag("--quiet", report.quiet, "No summary at the end");
    command.add_option("--summary", report.markdown_file, "Append a table of what happened, in Markdown")
        ->envname("GITHUB_STEP_SUMMARY")
        ->type_name("FILE");
    command.add_flag("--fail-on-deny", report.fail_on_deny, "Exit with 1 when something was denied (audit: would be)");
}

void add_name_servers(CLI::App& command, std::vector<std::string>& servers) {
    command.add_option("--name-server", servers, "Resolve by this server, not by the system's")
        ->allow_extra_args(false)  // one each time: it would swallow the -- before COMMAND
        ->type_name("ADDR");
}

void add_run(CLI::App& cli) {
    const auto options = std::make_shared<RunOptions>();
    auto* run = cli.add_subcommand("run", "Run a command that reaches only what the policy allows");
    run->footer("For example: sallyport run --policy sallyport.toml -- npm ci");
    run->add_option("--policy", options->policy_file, "Policy (default: sallyport.toml in this folder)")
        ->type_name("FILE");
    run->add_option("--audit", options->audit_file, "Append a JSON line for each request and refusal")
        ->type_name("FILE");
    add_outer_proxy(*run, options->outer_proxy);
    add_name_servers(*run, options->name_servers);
    add_mode(*run, options->mode);
    add_report(*run, options->report);
    run->add_option("COMMAND", options->command, "What to run, after --")->required();
    run->callback([options] { app::run(*options); });
}

void add_policy_commands(CLI::App& cli, int& status) {
    const auto files = std::make_shared<std::vector<std::string>>();
    auto* check = cli.add_subcommand("check", "Say whether policy files are right, and every mistake in them");
    check->add_option("FILE", *files, "Policy files")->required();
    check->callback([files, &status] { status = app::check(*files); });

    const auto policy = std::make_shared<std::string>("sallyport.toml");
    const auto words = std::make_shared<std::vector<std::string>>();
    auto* explain = cli.add_subcommand("explain", "Say what would happen to a request, and which line decides");
    explain->footer("For example: sallyport explain POST https://api.github.com/gists");
    explain->add_option("--policy", *policy, "Policy (default: sallyport.toml in this folder)")->type_name("FILE");
    explain->add_option("REQUEST", *words, "A URL, with the request method before it (default: GET)")
        ->required()
        ->expected(1, 2);
    explain->callback([policy, words, &status] { status = app::explain(*policy, *words); });

    const auto preset = std::make_shared<std::string>();
    auto* presets = cli.add_subcommand("presets", "List the presets that ship with sallyport, or print one");
    presets->add_option("NAME", *preset, "Preset to print");
    presets->callback([preset, &status] { status = app::presets(*preset); });

    const auto options = std::make_shared<SuggestOptions>();
    auto* suggest = cli.add_subcommand("suggest", "Print the smallest policy that covers an audit log, for review");
    suggest->footer("For example: sallyport suggest audit.jsonl > sallyport.toml");
    suggest->add_option("LOG", options->log_file, "What --audit wrote")->required();
    suggest->add_option("--policy", options->policy_file, "Print only what this policy does not allow yet")
        ->type_name("FILE");
    suggest->callback([options, &status] { status = app::suggest(*options); });
}

void add_doorway(CLI::App& cli, int& status) {
    const auto socket = std::make_shared<std::string>();
    auto* doorway = cli.add_subcommand("doorway", "Seal this network namespace and hand its sockets to a gateway");
    doorway->add_option("--socket", *socket, "Where the gateway connects")->required()->type_name("PATH");
    doorway->callback([socket, &status] { status = app::doorway(*socket); });
}

void add_gateway(CLI::App& cli) {
    const auto options = std::make_shared<GatewayOptions>();
    auto* gateway = cli.add_subcommand("gateway", "Serve a sandbox in a container");
    gateway->add_option("--policy", options->policy_file, "Policy (default: /etc/sallyport/policy.toml)")
        ->type_name("FILE");
    auto* doorway =
        gateway->add_option("--doorway", options->doorway, "Socket of the doorway that sealed the sandbox's namespace")
            ->type_name("PATH");
    auto* guard =
        gateway->add_flag("--guard", options->guard, "Program the rules of the shared form first")->excludes(doorway);
    gateway
        ->add_option("--exempt", options->exempt,
                     "What the rules tell the gateway by: cgroup (default), or user, that of --user")
        ->check(CLI::IsMember({"cgroup", "user"}))
        ->needs(guard);
    gateway->add_option("--user", options->user, "Whom to become once everything is open")->type_name("NAME|UID");
    gateway->add_option("--audit", options->audit_file, "Append a JSON line for each request and refusal")
        ->type_name("FILE");
    gateway->add_option("--trust", options->trust_directory, "Write what the sandbox needs to trust our CA")
        ->type_name("DIR");
    gateway->add_option("--state", options->state, "Where the CA's key is kept (default: /var/lib/sallyport)")
        ->type_name("DIR");
    gateway
        ->add_option("--admin", options->admin, "Where health, status and reload ask (default: " + options->admin + ")")
        ->type_name("PATH");
    gateway->add_option("--origin-ca", options->origin_ca, "Trust these authorities too when dialling")
        ->type_name("FILE");
    add_name_servers(*gateway, options->name_servers);
    add_outer_proxy(*gateway, options->outer_proxy);
    add_mode(*gateway, options->mode);
    add_report(*gateway, options->report);
    gateway->callback([options] { app::gateway(*options); });
}

void add_guard(CLI::App& cli) {
    const auto options = std::make_shared<GuardOptions>();
    auto* guard = cli.add_subcommand("guard", "Only program the rules of the shared form");
    guard->add_option("--user", options->user, "The gateway's user, whom the rules let out")
        ->required()
        ->type_name("NAME|UID");
    guard->add_option("--policy", options->policy_file, "Policy, for its [[publish]]")->type_name("FILE");
    guard->callback([options] { app::guard(*options); });
    cli.add_subcommand("unguard", "Take the rules of the shared form away again")->callback([] { app::unguard(); });
}

void add_questions(CLI::App& cli, int& status) {
    const auto admin = std::make_shared<std::string>(kAdminSocket);
    const auto doorway = std::make_shared<std::optional<std::string>>();
    const auto add = [&](const char* name, const char* description) {
        auto* question = cli.add_subcommand(name, description);
        question->add_option("--admin", *admin, "The gateway's admin socket (default: " + *admin + ")")
            ->type_name("PATH");
        question->callback([admin, doorway, name, &status] {
            status = *doorway ? app::doorway_health(**doorway) : app::ask_gateway(name, *admin);
        });
        return question;
    };
    auto* health = add("health", "Say whether the gateway serves, by exit status too");
    health->add_option("--doorway", *doorway, "Ask a doorway instead, at its socket")
        ->type_name("PATH")
        ->excludes(health->get_option("--admin"));
    add("status", "Say what the gateway serves, and under which policy");
    add("reload", "Make the gateway read its policy and secrets again");
}

void add_inside(CLI::App& cli, int& status) {
    const auto ca = std::make_shared<std::string>("/run/sallyport/trust/ca.pem");
    auto* trust =
        cli.add_subcommand("trust", "As root in a container: make every program there trust the gateway's CA");
    trust->add_option("--ca", *ca, "The CA (default: " + *ca + ")")->type_name("FILE");
    trust->callback([ca, &status] { status = app::trust(*ca); });

    cli.add_subcommand("doctor", "Try, inside a sandbox, what would undo its guard; say what to change")
        ->callback([&status] { status = app::doctor(); });
}

/// Of an option that a command does not know, CLI11 names what came behind it, and not the option. nullptr: all are
/// known.
const char* unknown_option(const CLI::App& command, int argc, char** argv) {
    for (int i = 1; i < argc && argv[i] != std::string_view("--"); ++i) {
        const std::string name(argv[i], std::strcspn(argv[i], "="));
        if (name.starts_with("--") && !command.get_option_no_throw(name)) return argv[i];
    }
    return nullptr;
}

int explain_failure(const CLI::App& cli, const CLI::ParseError& error, int argc, char** argv) {
    const auto commands = cli.get_subcommands();
    const auto* command = commands.empty() ? &cli : commands.front();
    const char* const option = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)
                                   ? unknown_option(*command, argc, argv)
                                   : nullptr;
    if (!option) return cli.exit(error);
    std::cerr << command->get_name() << " knows no option " << option << "\nRun with --help for more information.\n";
    return error.get_exit_code();
}

}  // namespace

int command_line(int argc, char** argv) {
    CLI::App cli("Decides what may leave a sandbox, and puts the real secrets in on the way out.", "sallyport");
    cli.require_subcommand(1);
    cli.set_version_flag("--version", "sallyport " SALLYPORT_VERSION);
    int status = 0;
    add_run(cli);
    add_policy_commands(cli, status);
    add_doorway(cli, status);
    add_gateway(cli);
    add_guard(cli);
    add_questions(cli, status);
    add_inside(cli, status);
    try {
        cli.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (explain_failure(cli, error, argc, argv) == 0) return 0;
        for (const char* serving : {"run", "doorway", "gateway", "guard"})
            if (cli.got_subcommand(serving)) return kOwnFailure;
        return kUsageFailure;
    }
    return status;
}

}  // namespace sallyport::app
