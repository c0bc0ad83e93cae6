#include "gateway/app/run.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "container/files.hpp"
#include "container/guarded_command.hpp"
#include "container/isolation.hpp"
#include "container/lockdown.hpp"
#include "container/trust_directory.hpp"
#include "container/trust_layout.hpp"
#include "gateway/app/harden.hpp"
#include "gateway/app/outer_proxy.hpp"
#include "gateway/app/policy_file.hpp"
#include "gateway/app/proxy.hpp"
#include "gateway/app/reloader.hpp"
#include "gateway/app/signals.hpp"
#include "gateway/app/state_directory.hpp"
#include "gateway/base/startup_error.hpp"
#include "gateway/secrets/environment.hpp"

namespace sallyport::app {
namespace {

constexpr std::chrono::milliseconds kDrainTime{500};  ///< for sessions to record their end

std::vector<std::string> own_environment() {
    std::vector<std::string> out;
    for (char** entry = environ; entry && *entry; ++entry) out.emplace_back(*entry);
    return out;
}

/// The sandbox shares our files, and often our user: what we keep secrets in is covered there, and so is what the
/// command could forge. The policy stays readable: a refusal names its lines.
std::vector<container::HiddenPath> hidden_paths(const RunOptions& options, const policy::Policy& policy,
                                                const std::string& state) {
    std::vector<container::HiddenPath> hidden{{state, {}}};
    std::error_code ignored;
    if (options.audit_file && std::filesystem::is_regular_file(*options.audit_file, ignored))
        hidden.push_back({*options.audit_file, {}});
    const auto& summary = options.report.markdown_file;
    if (summary && std::filesystem::is_regular_file(*summary, ignored)) hidden.push_back({*summary, {}});
    if (std::filesystem::is_regular_file(options.policy_file, ignored))
        hidden.push_back({options.policy_file, container::read_file(options.policy_file).value_or("")});
    for (const auto& secret : policy.secrets())
        if (secret.value.file) hidden.push_back({*secret.value.file, secret.placeholder.value_or("")});
    for (const auto& origin : policy.origins()) {
        if (origin.ca)  // may be read, not written: what it trusts is trusted at the next start, too
            hidden.push_back(
                {*origin.ca, container::certificate_blocks(container::read_file(*origin.ca).value_or(""))});
        for (const auto& file : {origin.client_certificate, origin.client_key})  // the key may be in either
            if (file) hidden.push_back({*file, {}});
    }
    return hidden;
}

container::GuardedSpec guarded_spec(const RunOptions& options, const policy::Policy& policy, const std::string& state,
                                    const std::string& ca_pem) {
    container::GuardedSpec spec;
    spec.command = options.command;
    spec.environment = secrets::without_sources(own_environment(), policy.secrets());
    // Whoever can write there before us could open a comment or a code block that swallows our table.
    if (options.report.markdown_file)
        std::erase_if(spec.environment,
                      [](const std::string& entry) { return entry.starts_with("GITHUB_STEP_SUMMARY="); });
    spec.ca_certificate = ca_pem;
    spec.hidden = hidden_paths(options, policy, state);
    return spec;
}

/// What else carries a secret's value, or points to a proxy, can be told only now that the values are known.
void withhold_variables(container::GuardedCommand& command, const secrets::Store& store, bool quiet) {
    for (const auto& withheld : secrets::to_withhold(own_environment(), store.all())) {
        command.withhold(withheld.variable);
        if (char* value = std::getenv(withheld.variable.c_str())) ::explicit_bzero(value, std::strlen(value));
        if (!quiet)
            fmt::print(stderr, "sallyport: withheld from the command: {} ({})\n", withheld.variable, withheld.why);
    }
}

/// The policy's changes are read from the file that was there at the start, by its descriptor, whoever we are by then.
/// COMMAND cannot write to that one, since it is covered, but can to one that an editor puts in its place. Open it
/// after the sandbox's first process was made, which must not have a copy.
UniqueFd open_policy(const std::string& file, policy::Mode mode) {
    UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd && !(mode == policy::Mode::audit && errno == ENOENT)) throw system_error(file, errno);
    return fd;
}

/// Serves until the command has ended, and a moment longer for what was under way to be recorded.
void serve(boost::asio::io_context& io, Proxy& proxy, container::GuardedCommand& command) {
    const SignalRelay signals(io, [&command](int number) { command.forward_signal(number); });
    boost::asio::posix::stream_descriptor ended(io, ::fcntl(command.wait_fd(), F_DUPFD_CLOEXEC, 0));
    ended.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [&io](const boost::system::error_code&) { io.stop(); });
    command.release();
    io.run();
    proxy.stop();
    io.restart();
    const auto limit = std::chrono::steady_clock::now() + kDrainTime;
    while (proxy.under_way() > 0 && io.run_one_until(limit) > 0) continue;
}

}  // namespace

void run(const RunOptions& options) {
    const auto policy = load_policy_file(options.policy_file, options.mode);
    if (!policy->publications().empty() && !options.report.quiet)
        fmt::print(stderr, "sallyport: {}: [[publish]] does nothing here, only in the forms for containers\n",
                   policy->publications().front().where.to_string());
    const auto state = state_directory();
    if (options.audit_file) audit::open_log(*options.audit_file);  // only what exists can be covered
    if (options.report.markdown_file) audit::open_log(*options.report.markdown_file);
    // The sandbox's first process is a copy of this one: it starts before there is any secret to copy.
    const auto ca_pem = tls::Authority::load_or_create(state).certificate_pem();
    auto command = container::GuardedCommand::start(guarded_spec(options, *policy, state, ca_pem));
    if (!harden() && !options.report.quiet) warn_of_swap();
    const Report report(options.report, options.mode);  // not earlier: the first process must not have a copy
    report.announce();
    ProxyOptions proxy_options;
    proxy_options.outer_proxy = outer_proxy(options.outer_proxy);
    const auto account = container::serving_account();
    if (account.is_other_user() && std::getenv("SSL_CERT_FILE"))
        proxy_options.trusted_pem = container::system_bundle();  // while we may surely read it
    const auto authority = tls::Authority::load_or_create(state);
    session::LiveRules rules({policy, std::make_shared<secrets::Store>(policy)});
    withhold_variables(command, *rules.current()->secrets, options.report.quiet);
    auto log = options.audit_file ? audit::open_log(*options.audit_file) : UniqueFd();
    const auto policy_fd = open_policy(options.policy_file, options.mode);
    // All that takes a privilege is open or read. No thread runs yet.
    container::give_up_privileges(account);
    container::lock_down();
    std::optional<audit::Audit> audit(std::in_place, options.audit_file.value_or(""), std::move(log));
    boost::asio::io_context io(1);
    proxy_options.name_servers = fmt::format("{}", fmt::join(options.name_servers, ","));
    Proxy proxy(io, rules, authority, *audit, command.take_sockets(), proxy_options);
    std::optional<Reloader> reloader;
    if (policy_fd) {
        ReloadOptions reload{options.policy_file, policy_fd.get(), true};
        reload.quiet = options.report.quiet;
        reloader.emplace(io, rules, *audit, std::move(reload));
    }
    serve(io, proxy, command);
    const int status = command.finish();
    const bool denied = report.print(*audit);
    audit.reset();  // the log is on disk
    if (denied && WIFEXITED(status) && WEXITSTATUS(status) == 0) std::_Exit(kDeniedStatus);
    end_like(status);
}

}  // namespace sallyport::app
