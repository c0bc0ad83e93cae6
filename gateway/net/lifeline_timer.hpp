#pragma once
// A wait that ends at a given moment, when somebody wakes it, or with the session's lifeline.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "gateway/net/lifeline.hpp"

namespace sallyport::net {

/// Belongs to one coroutine; wakes are not remembered, so the coroutine looks at its condition before each wait.
class LifelineTimer final : public Cancellable {
public:
    LifelineTimer(const boost::asio::any_io_executor& executor, Lifeline& lifeline)
        : timer_(executor), lifeline_(lifeline) {
        lifeline_.attach(*this);
    }
    ~LifelineTimer() { lifeline_.detach(*this); }
    LifelineTimer(const LifelineTimer&) = delete;
    LifelineTimer& operator=(const LifelineTimer&) = delete;

    boost::asio::awaitable<void> wait_until(Clock::time_point moment) {
        if (lifeline_.ended()) co_return;
        timer_.expires_at(moment);
        co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
    void wake() { timer_.cancel(); }

    void cancel() override { wake(); }
    bool peer_gone() override { return false; }

private:
    boost::asio::steady_timer timer_;
    Lifeline& lifeline_;
};

}  // namespace sallyport::net
