#pragma once
// The audit log: every event goes to the summary, and to a file when one is named.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gateway/audit/events.hpp"
#include "gateway/audit/ledger.hpp"
#include "gateway/audit/summary.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::audit {

/// Opens the file for appending; it has mode 0600 when it is new. Throws StartupError.
UniqueFd open_log(const std::string& file);

/// Why nothing goes on while an Audit is not healthy().
inline constexpr const char* kUnwritable = "the audit log cannot be written, and nothing is served that is not in it";

/// Thread-safe. A thread of its own does the writing; destruction waits until everything is written.
class Audit {
public:
    /// Events that may wait to be written. When the disk is slower than that, record() blocks: traffic has to wait
    /// for its log, since what is not in the log must not happen. While nothing can be written, nobody waits, and what
    /// was allowed is kept beyond that: one event each of what was under way, since nothing new is allowed meanwhile.
    static constexpr std::size_t kMaxWaiting = 1024;
    /// How long an event may wait for others that are written with it.
    static constexpr std::chrono::milliseconds kGather{5};
    /// Between two attempts to write to a log that could not be written.
    static constexpr std::chrono::milliseconds kTryAgain{500};

    /// Appends to `file`, which is created with mode 0600. Throws StartupError when that cannot be done.
    explicit Audit(const std::optional<std::string>& file);
    /// Appends to what open_log(file) gave, maybe as another user.
    Audit(const std::string& file, UniqueFd log);
    ~Audit();
    Audit(const Audit&) = delete;
    Audit& operator=(const Audit&) = delete;

    void record(Event event);
    /// False from a write on that failed until what is waiting could be written; both are said on stderr. Whoever
    /// serves ends what is under way and begins nothing meanwhile: see kUnwritable. What was allowed before still gets
    /// its line, refusals are only counted.
    bool healthy() const { return healthy_; }
    /// See Summary::render.
    std::string summary() const;
    Ledger ledger() const;
    Totals totals() const;

private:
    void write_events();
    void write_unwritten();
    void give_up() const;

    std::string file_name_;
    UniqueFd file_;
    std::atomic<bool> healthy_ = true;

    mutable std::mutex mutex_;
    std::condition_variable work_;  ///< something waits to be written, or the end has come
    std::condition_variable room_;  ///< the queue was taken
    std::vector<Event> waiting_;
    std::vector<Event> written_;  ///< to be freed by whom it was made by: an allocator's caches belong to threads
    std::uint64_t left_out_ = 0;  ///< refusals while nothing could be written
    bool ending_ = false;
    Summary summary_;
    Ledger ledger_;
    std::string unwritten_;  ///< of the writer: the rest of what the disk had no room for
    std::thread writer_;     ///< last: starts when all else is there
};

}  // namespace sallyport::audit
