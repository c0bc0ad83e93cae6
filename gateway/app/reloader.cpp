#include "gateway/app/reloader.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "gateway/app/file_marks.hpp"
#include "gateway/app/policy_file.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::app {

/// What a load came to, for the serving thread.
struct Reloader::Loaded {
    session::Rules rules;
    std::string mistakes;  ///< not empty: there are no rules
    std::vector<Done> done;
};

/// The thread. Of the Reloader it uses what never changes.
class Reloader::Worker {
public:
    using Post = std::function<void(Loaded)>;

    Worker(const ReloadOptions& options, const session::Rules& rules, Post post)
        : options_(options),
          path_(options.read_from < 0 ? options.policy_file : "/proc/self/fd/" + std::to_string(options.read_from)),
          mode_(rules.policy->mode()),
          post_(std::move(post)),
          secrets_(rules.secrets) {
        watch(mark_of(path_), *rules.policy);
        last_look_ = seen_;
        thread_ = std::thread([this] { run(); });
    }

    ~Worker() {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
        }
        wake_.notify_one();
        thread_.join();
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void request(Done done) {
        {
            const std::lock_guard lock(mutex_);
            requested_ = true;
            if (done) requests_.push_back(std::move(done));
        }
        wake_.notify_one();
    }

private:
    void run() {
        // Signals are for the program's own threads.
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, nullptr);
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait_for(lock, kLookEvery, [this] { return ending_ || requested_; });
            if (ending_) return;
            const bool requested = std::exchange(requested_, false);
            auto requests = std::exchange(requests_, {});
            lock.unlock();
            if (requested || has_changed()) post_(load(std::move(requests), requested));
            lock.lock();
        }
    }

    /// A file that is just being written looks different at each look; half of it must not be taken for the whole.
    bool has_changed() {
        auto look = look_again(seen_);
        const bool settled = look == last_look_;
        last_look_ = std::move(look);
        return settled && last_look_ != seen_;
    }

    Loaded load(std::vector<Done> done, bool requested) {
        Loaded loaded;
        loaded.done = std::move(done);
        const auto reread = options_.secrets_stay ? secrets::Reread::nothing
                            : requested           ? secrets::Reread::all
                                                  : secrets::Reread::all_but_commands;
        try {
            // Looked at before it is read: what changes meanwhile is seen at the next look.
            const auto mark = seen_[path_] = mark_of(path_);
            check_identity(mark);
            const auto policy = options_.read_from < 0
                                    ? load_policy_file(options_.policy_file, mode_)
                                    : load_policy_file(options_.policy_file, options_.read_from, mode_);
            watch(mark, *policy);
            loaded.rules = {policy,
                            std::make_shared<const secrets::Store>(policy, *secrets_, reread, options_.run_command)};
            secrets_ = loaded.rules.secrets;
        } catch (const StartupError& mistakes) {
            loaded.mistakes = mistakes.what();
        }
        last_look_ = seen_;
        return loaded;
    }

    void check_identity(const std::optional<FileMark>& mark) {
        if (path_ == options_.policy_file) return;
        const auto named = seen_[options_.policy_file] = mark_of(options_.policy_file);
        if (!mark || (named ? mark->device != named->device || mark->inode != named->inode : !is_out_of_sight()))
            throw StartupError(options_.policy_file +
                               " is another file now, which the command can write: save it in place, or start again");
    }

    /// The user that we serve as may not get into its folder: then only its removal shows, by the links that are left.
    bool is_out_of_sight() const {
        struct stat open {};
        return ::access(options_.policy_file.c_str(), F_OK) != 0 && errno == EACCES &&
               ::fstat(options_.read_from, &open) == 0 && open.st_nlink > 0;
    }

    void watch(std::optional<FileMark> policy_file, const policy::Policy& policy) {
        seen_ = {{options_.policy_file, mark_of(options_.policy_file)}, {path_, policy_file}};
        if (options_.secrets_stay) return;
        for (const auto& secret : policy.secrets())
            if (secret.value.file) seen_.emplace(*secret.value.file, mark_of(*secret.value.file));
        for (const auto& origin : policy.origins())
            for (const auto& file : {origin.ca, origin.client_certificate, origin.client_key})
                if (file) seen_.emplace(*file, mark_of(*file));
    }

    const ReloadOptions& options_;
    const std::string path_;
    const policy::Mode mode_;
    const Post post_;
    // The thread's own:
    std::shared_ptr<const secrets::Store> secrets_;
    FileMarks seen_;  ///< as they were when they were loaded
    FileMarks last_look_;

    std::mutex mutex_;
    std::condition_variable wake_;
    bool requested_ = false;
    bool ending_ = false;
    std::vector<Done> requests_;
    std::thread thread_;  ///< last: starts when all else is there
};

Reloader::Reloader(boost::asio::io_context& io, session::LiveRules& rules, audit::Audit& audit, ReloadOptions options)
    : rules_(rules),
      audit_(audit),
      options_(std::move(options)),
      published_(rules.current()->policy->publications()),
      hangups_(io),
      alive_(this, [](Reloader*) {}) {
    const auto post = [&io, weak = std::weak_ptr(alive_)](Loaded loaded) {
        boost::asio::post(io, [weak, loaded = std::move(loaded)]() mutable {
            if (const auto self = weak.lock()) self->take_over(std::move(loaded));
        });
    };
    worker_ = std::make_unique<Worker>(options_, *rules.current(), post);
}

Reloader::~Reloader() = default;

void Reloader::reload(Done done) { worker_->request(std::move(done)); }

/// What a reload cannot change, since it is set up once; for those who are told of it.
std::string Reloader::restart_note() const {
    const auto& now = rules_.current()->policy->publications();
    const bool same = std::equal(now.begin(), now.end(), published_.begin(), published_.end(),
                                 [](const auto& a, const auto& b) { return a.same_ports(b); });
    return same ? "" : "; [[publish]] has changed: that counts after a restart";
}

void Reloader::reload_on_hangup() {
    hangups_.add(SIGHUP);
    wait_for_hangup();
}

void Reloader::wait_for_hangup() {
    hangups_.async_wait([this](const boost::system::error_code& ec, int) {
        if (ec) return;
        reload();
        wait_for_hangup();
    });
}

void Reloader::take_over(Loaded loaded) {
    last_ = {std::chrono::system_clock::now(), std::move(loaded.mistakes), 0};
    audit::PolicyEvent event;
    event.file = options_.policy_file;
    if (last_.mistakes.empty()) {
        const auto policy = loaded.rules.policy;
        loaded_at_ = last_.at;
        last_.ended = rules_.replace(std::move(loaded.rules));
        event.replaced = true;
        event.ended = last_.ended;
        if (!options_.quiet)
            fmt::print(stderr, "sallyport: {} was read again: {} rules, {} secrets; {} connections ended{}\n",
                       options_.policy_file, policy->rules().size(), policy->secrets().size(), last_.ended,
                       restart_note());
    } else {
        event.reason = last_.mistakes.substr(0, last_.mistakes.find('\n'));
        const auto more = std::count(last_.mistakes.begin(), last_.mistakes.end(), '\n');
        if (more > 0) event.reason += fmt::format(" (and {} more)", more);
        fmt::print(stderr, "sallyport: the policy stays as it was: {}\n", event.reason);
    }
    audit_.record(std::move(event));
    for (const auto& done : loaded.done) done(last_);
}

}  // namespace sallyport::app
