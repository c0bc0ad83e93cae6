// One writer thread takes the whole queue at a time, so that a burst costs few system calls. Producers touch only
// the mutex; the file and its name are the writer's alone once it runs.
#include "gateway/audit/audit.hpp"

#include <fcntl.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "gateway/base/startup_error.hpp"

namespace sallyport::audit {
namespace {

/// 0 or errno.
int write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) return errno;
        if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
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

Audit::Audit(const std::optional<std::string>& file)
    : Audit(file.value_or(""), file ? open_log(*file) : UniqueFd()) {}

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
    room_.wait(lock, [this] { return waiting_.size() < kMaxWaiting; });
    waiting_.push_back(std::move(event));
    lock.unlock();
    work_.notify_one();
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
            work_.wait(lock, [this] { return !waiting_.empty() || ending_; });
            if (waiting_.empty()) return;
            batch.swap(waiting_);
        }
        room_.notify_all();
        write_batch(batch);
        batch.clear();
    }
}

void Audit::write_batch(const std::vector<Event>& batch) {
    if (!healthy_) return;  // the queue is still emptied, so that nobody waits for a log that will not come
    std::string lines;
    for (const auto& event : batch) lines += to_json(event);
    const int error = write_all(file_.get(), lines);
    if (error == 0) return;
    healthy_ = false;
    std::fprintf(stderr, "sallyport: the audit log %s cannot be written: %s\n", file_name_.c_str(),
                 std::strerror(error));
}

}  // namespace sallyport::audit
