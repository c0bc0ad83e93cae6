// The command line. What each command does is in gateway/app.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "gateway/app/doctor.hpp"
#include "gateway/app/policy_commands.hpp"
#include "gateway/app/run.hpp"
#include "gateway/base/startup_error.hpp"

namespace {

constexpr int kOwnFailure = 125;  // as docker run and timeout(1) have it: not a status of the command

/// Whoever closed one of these for us: its number would go to the next file or connection that we open, and error
/// messages into that.
void open_standard_descriptors() {
    int fd = -1;
    do fd = ::open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    ::close(fd);
}

int dispatch(int argc, char** argv) {
    using namespace sallyport;
    CLI::App cli("Decides what may leave a sandbox, and puts the real secrets in on the way out.", "sallyport");
    cli.require_subcommand(1);
    cli.set_version_flag("--version", "sallyport " SALLYPORT_VERSION);

    app::RunOptions run_options;
    auto* run = cli.add_subcommand("run", "Run a command that reaches only what the policy allows");
    run->footer("For example: sallyport run --policy sallyport.toml -- npm ci");
    run->add_option("--policy", run_options.policy_file, "Policy (default: sallyport.toml in this folder)")
        ->type_name("FILE");
    run->add_option("--audit", run_options.audit_file, "Append a JSON line for each request and refusal")
        ->type_name("FILE");
    run->add_flag("--quiet", run_options.quiet, "No summary at the end");
    run->add_option("COMMAND", run_options.command, "What to run, after --")->required();

    std::vector<std::string> files;
    auto* check = cli.add_subcommand("check", "Say whether policy files are right, and every mistake in them");
    check->add_option("FILE", files, "Policy files")->required();

    std::string policy_file = "sallyport.toml";
    std::vector<std::string> words;
    auto* explain = cli.add_subcommand("explain", "Say what would happen to a request, and which line decides");
    explain->footer("For example: sallyport explain POST https://api.github.com/gists");
    explain->add_option("--policy", policy_file, "Policy (default: sallyport.toml in this folder)")->type_name("FILE");
    explain->add_option("REQUEST", words, "A URL, with the request method before it (default: GET)")
        ->required()
        ->expected(1, 2);

    std::string preset;
    auto* presets = cli.add_subcommand("presets", "List the presets that ship with sallyport, or print one");
    presets->add_option("NAME", preset, "Preset to print");

    auto* doctor =
        cli.add_subcommand("doctor", "Try, inside a sandbox, what would undo its guard, and say what to change");

    try {
        cli.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int status = cli.exit(error);
        return status == 0 ? 0 : run->parsed() ? kOwnFailure : 2;
    }
    if (*run) app::run(run_options);
    if (*doctor) return app::doctor();
    if (*check) return app::check(files);
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
