#pragma once
// Signals for a program that runs another in its own place.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <csignal>
#include <functional>

namespace sallyport::app {

/// Takes over the signals that were meant for the guarded command and hands on those that a process sent. Those that
/// the terminal makes (Ctrl-C, Ctrl-\, a lost line) reach the command by itself, as a member of the same group.
class SignalRelay {
public:
    /// Blocks these and all others that would end us in this thread; call before any other thread is started, and after
    /// the command was.
    SignalRelay(boost::asio::io_context&, std::function<void(int)> forward);

private:
    void wait();
    void take();

    boost::asio::posix::stream_descriptor signals_;
    std::function<void(int)> forward_;
};

/// Ends this process as `wait_status` says that another ended: its exit status, or its signal.
[[noreturn]] void end_like(int wait_status);

}  // namespace sallyport::app
