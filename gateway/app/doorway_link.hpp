#pragma once
// The gateway's connection to a doorway: as long as it stands, a Proxy serves the doorway's namespace.
//
// It ends with the doorway. The Proxy is then stopped, and everything it had of that namespace closed: whoever is left
// in there reaches nothing. Then we ask again, until there is a doorway with a namespace of its own.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "gateway/app/proxy.hpp"

namespace sallyport::app {

/// Belongs to the io_context's thread; must not be destroyed while that runs.
class DoorwayLink {
public:
    using MakeProxy = std::function<std::unique_ptr<Proxy>(container::GatewaySockets)>;

    /// `on_lost` is called when the doorway has gone.
    DoorwayLink(boost::asio::io_context&, std::string path, MakeProxy, std::function<void()> on_lost);

    /// Connects, now or when there is a doorway; says on standard error what it waits for.
    void start() { ask(); }
    /// No further connection, no new session; those that run end while the io_context runs on.
    void stop();

    /// Why nothing is served; "" while the doorway's namespace is.
    std::string problem() const;
    std::size_t sessions() const { return proxy_ ? proxy_->sessions() : 0; }
    std::size_t under_way() const { return proxy_ ? proxy_->under_way() : 0; }

private:
    using Clock = std::chrono::steady_clock;
    void ask();
    void take_answer(const boost::system::error_code&);
    void ask_again(const std::string& why);
    void watch();
    void retire(Clock::time_point earliest);
    void after(Clock::duration, std::function<void()>);

    std::string path_;
    MakeProxy make_proxy_;
    std::function<void()> on_lost_;
    boost::asio::posix::stream_descriptor peer_;
    boost::asio::steady_timer timer_;
    std::string said_;  ///< what we wait for, as it was said last
    std::unique_ptr<Proxy> proxy_;
};

}  // namespace sallyport::app
