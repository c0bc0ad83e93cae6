// One writer thread takes the whole queue at a time, and lets it gather a little first, so that a burst costs few
// system calls and few wake-ups. Producers touch only the mutex; the file, its name and what could not be written are
// the writer's alone once it runs.
#include "gateway/audit/audit.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "gateway/base/startup_error.hpp"

namespace sallyport::audit {
namespace {

/// Takes what was written from `bytes`. 0 or errno.
int write_all(int fd, std::string& bytes) {
    std::size_t done = 0;
    int error = 0;
    while (error == 0 && done < bytes.size()) {
        const auto written = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (written > 0) done += static_cast<std::size_t>(written);
        if (written < 0 && errno != EINTR) error = errno;
    }
    bytes.erase(0, done);
    return error;
}

bool was_allowed(const Event& event) {
    const auto* request = std::get_if<RequestEvent>(&event);
    const auto* connection = std::get_if<ConnectionEvent>(&event);
    return (request && request->decision == Decision::allow) ||
           (connection && connection->decision == Decision::allow) || std::holds_alternative<PolicyEvent>(event);
}

/// A new thread inherits the mask: signals stay with the program's own threads, and SIGPIPE becomes EPIPE.
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_{};
};

}  // namespace

UniqueFd open_log(const std::string& name) {
    UniqueFd file(::open(name.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600));
    if (!file) throw system_error("the audit log " + name + " cannot be opened", errno);
    return file;
}

Audit::Audit(const std::optional<std::string>& file) : Audit(file.value_or(""), file ? open_log(*file) : UniqueFd()) {}

Audit::Audit(const std::string& file, UniqueFd log) : file_name_(file), file_(std::move(log)) {
    if (!file_) return;
    const SignalsBlocked blocked;
    writer_ = std::thread([this] { write_events(); });
}

Audit::~Audit() {
    if (!writer_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    work_.notify_one();
    writer_.join();
}

void Audit::record(Event event) {
    std::unique_lock lock(mutex_);
    summary_.add(event);
    ledger_.add(event);
    if (!file_) return;
    room_.wait(lock, [this] { return waiting_.size() < kMaxWaiting || !healthy_; });
    if (!healthy_ && !was_allowed(event)) {  // of those there may be any number
        ++left_out_;
        return;
    }
    waiting_.push_back(std::move(event));
    if (!written_.empty()) {  // it ends with this call, outside of the lock
        event = std::move(written_.back());
        written_.pop_back();
    }
    const bool wake = waiting_.size() == 1 || waiting_.size() == kMaxWaiting / 2;
    lock.unlock();
    if (wake) work_.notify_one();
}

std::string Audit::summary() const {
    const std::lock_guard lock(mutex_);
    return summary_.render();
}

Ledger Audit::ledger() const {
    const std::lock_guard lock(mutex_);
    return ledger_;
}

Totals Audit::totals() const {
    const std::lock_guard lock(mutex_);
    return summary_.totals();
}

void Audit::write_events() {
    std::vector<Event> batch;
    while (true) {
        {
            std::unique_lock lock(mutex_);
            const auto something = [this] { return ending_ || (unwritten_.empty() && !waiting_.empty()); };
            if (unwritten_.empty()) work_.wait(lock, something);
            else work_.wait_for(lock, kTryAgain, something);
            work_.wait_for(lock, kGather, [this] { return ending_ || waiting_.size() >= kMaxWaiting / 2; });
            if (unwritten_.empty()) batch.swap(waiting_);
            if (ending_ && unwritten_.empty() && batch.empty()) return;
        }
        room_.notify_all();
        for (const auto& event : batch) append_json(unwritten_, event);
        write_unwritten();
        const std::lock_guard lock(mutex_);
        if (written_.empty()) written_.swap(batch);
        batch.clear();
        if (ending_ && !unwritten_.empty()) return give_up();  // one last attempt was made
    }
}

/// The mutex is held.
void Audit::give_up() const {
    const auto lines = std::count(unwritten_.begin(), unwritten_.end(), '\n') + std::ssize(waiting_);
    std::fprintf(stderr,
                 "sallyport: the audit log %s could not be written to its end; not in it: %lld lines, %llu refusals\n",
                 file_name_.c_str(), static_cast<long long>(lines), static_cast<unsigned long long>(left_out_));
}

void Audit::write_unwritten() {
    const int error = write_all(file_.get(), unwritten_);
    const std::lock_guard lock(mutex_);
    const bool healthy = error == 0 && (healthy_ || waiting_.empty());  // again only when all that was kept is written
    if (healthy == healthy_) return;
    healthy_ = healthy;
    if (healthy_) {
        std::fprintf(stderr,
                     "sallyport: the audit log %s can be written again; all that was allowed is in it, not in it are "
                     "%llu refusals meanwhile\n",
                     file_name_.c_str(), static_cast<unsigned long long>(std::exchange(left_out_, 0)));
    } else {
        std::fprintf(stderr,
                     "sallyport: the audit log %s cannot be written: %s; what is under way is ended, and nothing is "
                     "served until it can\n",
                     file_name_.c_str(), std::strerror(error));
        room_.notify_all();
    }
}

}  // namespace sallyport::audit
