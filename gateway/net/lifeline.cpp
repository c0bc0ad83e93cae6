#include "gateway/net/lifeline.hpp"

#include <algorithm>

namespace sallyport::net {

Lifeline::Lifeline(Watchdog& watchdog) : watchdog_(watchdog) { watchdog_.lifelines_.push_back(*this); }

Lifeline::~Lifeline() = default;

void Lifeline::expect_within(Clock::duration time, const char* phase) {
    allowed_ = time;
    phase_ = phase;
    client_owes_since_.reset();
    progress();
}

void Lifeline::expect_of_client(Clock::duration time, const char* phase) {
    expect_within(time, phase);
    client_owes_since_ = Clock::now();
}

void Lifeline::progress() { deadline_ = Clock::now() + allowed_; }

void Lifeline::attach(Cancellable& stream) { attached_.push_back(&stream); }

void Lifeline::detach(Cancellable& stream) {
    std::erase(attached_, &stream);
    if (watched_client_ == &stream) watched_client_ = nullptr;
}

void Lifeline::end(Error reason) {
    if (reason_) return;
    reason_ = std::move(reason);
    for (Cancellable* stream : attached_) stream->cancel();
}

void Lifeline::check(Clock::time_point now) {
    const auto last_progress = deadline_ - allowed_;
    if (now - last_progress >= Watchdog::kTick)
        for (Cancellable* stream : attached_) stream->release_buffers();
    if (now >= deadline_) end({ErrorKind::timed_out, std::string("time limit: ") + phase_});
    else if (watched_client_ && watched_client_->peer_gone()) end({ErrorKind::end_of_stream, "the client went away"});
}

Watchdog::Watchdog(const boost::asio::any_io_executor& executor, std::function<void()> every_tick)
    : timer_(executor), every_tick_(std::move(every_tick)) {
    arm();
}

void Watchdog::arm() {
    timer_.expires_after(kTick);
    timer_.async_wait([this](const boost::system::error_code& ec) {
        if (ec) return;
        const auto now = Clock::now();
        for (Lifeline& lifeline : lifelines_) lifeline.check(now);
        if (every_tick_) every_tick_();
        arm();
    });
}

bool Watchdog::end_longest_waiting(const Error& reason) {
    Lifeline* longest = nullptr;
    for (Lifeline& lifeline : lifelines_)
        if (lifeline.client_owes_since_ && !lifeline.ended() &&
            (!longest || *lifeline.client_owes_since_ < *longest->client_owes_since_))
            longest = &lifeline;
    if (longest) longest->end(reason);
    return longest != nullptr;
}

void Watchdog::end_all(const Error& reason) {
    for (Lifeline& lifeline : lifelines_) lifeline.end(reason);
}

void Watchdog::stop() { timer_.cancel(); }

}  // namespace sallyport::net
