#pragma once
// One owner and one deadline for a session.
//
// A Lifeline belongs to one session coroutine. It knows the session's sockets (through Cancellable) and the one
// moment by which the session must have made progress; whoever makes progress moves that moment. Ending a
// lifeline cancels what its sockets wait for, and every later wait fails at once with the reason. The Watchdog
// of the thread ends lifelines whose moment has passed: one timer for all sessions instead of one for each wait.
//
// Everything here belongs to one thread, that of the io_context.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "gateway/base/result.hpp"

namespace sallyport::net {

using Clock = std::chrono::steady_clock;

/// Something whose pending waits a lifeline can end.
class Cancellable {
public:
    virtual void cancel() = 0;
    /// True when the peer is known to be gone, though nobody reads at the moment.
    virtual bool peer_gone() = 0;
    /// Nothing has come or gone for a while: what is held for speed alone may go.
    virtual void release_buffers() {}

protected:
    ~Cancellable() = default;
};

class Watchdog;

class Lifeline {
public:
    explicit Lifeline(Watchdog&);
    ~Lifeline();
    Lifeline(const Lifeline&) = delete;
    Lifeline& operator=(const Lifeline&) = delete;

    /// Progress is due within `time` from now; replaces what was set before. `phase` names it in the error.
    void expect_within(Clock::duration time, const char* phase);
    /// The same, where it is the client who owes it and nothing is lost with the connection: see end_longest_waiting().
    void expect_of_client(Clock::duration time, const char* phase);
    /// The same time again from now: progress was made.
    void progress();
    /// While set, the session ends when the client's connection is gone, even if nobody is reading from it.
    void watch_client(Cancellable* client) { watched_client_ = client; }

    void attach(Cancellable&);
    void detach(Cancellable&);

    void end(Error reason);
    bool ended() const { return reason_.has_value(); }
    const Error& reason() const { return *reason_; }

private:
    friend class Watchdog;
    void check(Clock::time_point now);

    Watchdog& watchdog_;
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> hook_;
    std::vector<Cancellable*> attached_;
    Cancellable* watched_client_ = nullptr;
    Clock::time_point deadline_ = Clock::time_point::max();
    Clock::duration allowed_{};
    std::optional<Clock::time_point> client_owes_since_;
    const char* phase_ = "";
    std::optional<Error> reason_;
};

/// Looks after all lifelines of a thread, once every kTick. Must outlive them.
class Watchdog {
public:
    static constexpr std::chrono::milliseconds kTick{250};

    /// `every_tick` is called as often as that: for conditions that end many lifelines at once.
    explicit Watchdog(const boost::asio::any_io_executor&, std::function<void()> every_tick = {});
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    /// Makes room where there is none: ends the lifeline whose client has owed us something (a hello, a head, the next
    /// request) for the longest. False: all that is there is at work.
    bool end_longest_waiting(const Error& reason);
    /// Ends every session; used to shut down.
    void end_all(const Error& reason);
    void stop();
    std::size_t sessions() const { return lifelines_.size(); }

private:
    friend class Lifeline;
    void arm();

    using Hook = boost::intrusive::member_hook<Lifeline, decltype(Lifeline::hook_), &Lifeline::hook_>;
    boost::intrusive::list<Lifeline, Hook, boost::intrusive::constant_time_size<false>> lifelines_;
    boost::asio::steady_timer timer_;
    const std::function<void()> every_tick_;
};

}  // namespace sallyport::net
