#pragma once
// Takes a changed policy over while the gateway serves.
//
// A thread of its own looks at the policy file and the files of its secrets, and loads them: a secret's command may
// take its time, and the serving thread must not. Only what was loaded whole replaces the rules in use; otherwise those
// stay, and the mistakes are said on standard error, in the audit log and by status().
//
//   LiveRules rules({policy, store});             // loaded by load_policy_file() and secrets::Store
//   Proxy proxy(io, rules, ...);                  // as many as there are doorways in its life
//   Reloader reloader(io, rules, audit, {policy_file});
//   Admin admin(io, open_admin_socket(path), reloader, audit, [&] { return Serving{...}; });
//   reloader.reload_on_hangup();
//
// Its thread has the user, capabilities and seccomp filter of the moment that it was made: make it after the last
// change of those.

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/audit/audit.hpp"
#include "gateway/secrets/run_command.hpp"
#include "gateway/session/live_rules.hpp"

namespace sallyport::app {

struct ReloadOptions {
    std::string policy_file;  ///< as it is named in messages, and where secrets' relative paths begin
    /// A descriptor to read it from instead, or -1. When `policy_file` then leads to another file, that is a mistake.
    int read_from = -1;
    /// Secrets keep the values that they have; a policy that needs another source is a mistake.
    bool secrets_stay = false;
    secrets::RunCommand run_command = secrets::run_command;  ///< by its thread
    bool quiet = false;  ///< nothing on standard error of what was taken over; mistakes are always said
};

struct Reload {
    std::chrono::system_clock::time_point at;
    std::string mistakes;   ///< one a line; not empty: the rules are what they were
    std::size_t ended = 0;  ///< requests and streams that the new rules deny
};

class Reloader {
public:
    using Done = std::function<void(const Reload&)>;
    /// How often the files are looked at. A change counts once two looks in a row have seen the same.
    static constexpr std::chrono::milliseconds kLookEvery{500};

    /// All that is passed by reference must outlive it, the io_context too.
    Reloader(boost::asio::io_context&, session::LiveRules&, audit::Audit&, ReloadOptions);
    /// Waits for a load that is under way: at most for its commands.
    ~Reloader();

    /// Loads now, whether anything changed or not, and runs secrets' commands again. `done` is called later, on the
    /// io_context's thread.
    void reload(Done done = {});

    /// From now on SIGHUP is reload().
    void reload_on_hangup();

    // On the io_context's thread:
    const std::string& policy_file() const { return options_.policy_file; }
    const session::Rules& rules() const { return *rules_.current(); }
    /// When the rules in use were loaded.
    std::chrono::system_clock::time_point loaded_at() const { return loaded_at_; }
    /// The last one; mistakes are empty when it went well or there was none.
    const Reload& last() const { return last_; }
    /// Empty, or a clause that says what of the rules in use counts only after a restart.
    std::string restart_note() const;

private:
    class Worker;
    struct Loaded;
    void take_over(Loaded);
    void wait_for_hangup();

    session::LiveRules& rules_;
    audit::Audit& audit_;
    const ReloadOptions options_;
    const std::vector<policy::Publication> published_;  ///< at the start
    boost::asio::signal_set hangups_;
    std::chrono::system_clock::time_point loaded_at_ = std::chrono::system_clock::now();
    Reload last_{loaded_at_, {}, 0};
    std::shared_ptr<Reloader> alive_;  ///< owns nothing; gone when we are
    std::unique_ptr<Worker> worker_;
};

}  // namespace sallyport::app
