#include "gateway/app/doorway_link.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "container/doorway_client.hpp"
#include "container/socket_handover.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::app {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

constexpr std::chrono::milliseconds kBetweenAttempts{250};
constexpr std::chrono::seconds kAnswerTime{5};
constexpr std::chrono::milliseconds kRetireTick{50};
/// How long a stopped Proxy stays at least: what it had asked the io_context for comes back cancelled until then.
constexpr std::chrono::milliseconds kRetireTime{300};

std::string reason(int error) {
    if (error == ENOENT || error == ECONNREFUSED) return "it has not started";
    if (error == EACCES) return "permission denied; the gateway must belong to the group of the socket's folder";
    return std::strerror(error);
}

}  // namespace

DoorwayLink::DoorwayLink(boost::asio::io_context& io, std::string path, MakeProxy make_proxy,
                         std::function<void()> on_lost)
    : path_(std::move(path)), make_proxy_(std::move(make_proxy)), on_lost_(std::move(on_lost)), peer_(io), timer_(io) {}

void DoorwayLink::after(Clock::duration time, std::function<void()> action) {
    timer_.expires_after(time);
    timer_.async_wait([action = std::move(action)](const boost::system::error_code& ec) {
        if (!ec) action();
    });
}

void DoorwayLink::ask() {
    auto fd = container::call_doorway(path_, container::DoorwayRequest::serve);
    if (!fd) return ask_again(reason(errno));
    peer_.assign(fd.release());
    after(kAnswerTime, [this] {
        if (!proxy_) peer_.cancel();
    });
    peer_.async_wait(Descriptor::wait_read, [this](const boost::system::error_code& ec) { take_answer(ec); });
}

void DoorwayLink::take_answer(const boost::system::error_code& ec) {
    if (!peer_.is_open()) return;  // stopped
    timer_.cancel();
    if (ec) return ask_again("it does not answer");
    char first = 0;
    const auto got = ::recv(peer_.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 1 && first == static_cast<char>(container::DoorwayAnswer::busy))
        return ask_again("another gateway is connected to it");
    container::GatewaySockets sockets;
    try {
        sockets = container::receive_sockets(peer_.native_handle());
    } catch (const StartupError& error) {
        return ask_again(error.what());
    }
    proxy_ = make_proxy_(std::move(sockets));
    said_.clear();
    fmt::print(stderr, "sallyport: serving the sandbox behind {}\n", path_);
    watch();
}

void DoorwayLink::ask_again(const std::string& why) {
    boost::system::error_code ignored;
    peer_.close(ignored);
    if (why != said_) fmt::print(stderr, "sallyport: waiting for the doorway at {}: {}\n", path_, why);
    said_ = why;
    after(kBetweenAttempts, [this] { ask(); });
}

/// The doorway says nothing more: whatever can be read is its end.
void DoorwayLink::watch() {
    peer_.async_wait(Descriptor::wait_read, [this](const boost::system::error_code& ec) {
        if (ec || !peer_.is_open()) return;
        fmt::print(stderr, "sallyport: the doorway at {} has gone; its sandbox reaches nothing any more\n", path_);
        boost::system::error_code ignored;
        peer_.close(ignored);
        proxy_->stop("the doorway has gone");
        on_lost_();
        retire(Clock::now() + kRetireTime);
    });
}

void DoorwayLink::retire(Clock::time_point earliest) {
    after(kRetireTick, [this, earliest] {
        if (under_way() > 0 || Clock::now() < earliest) return retire(earliest);
        proxy_.reset();
        ask();
    });
}

std::string DoorwayLink::problem() const {
    if (proxy_ && peer_.is_open()) return {};
    return "waiting for the doorway at " + path_ + (said_.empty() ? "" : ": " + said_);
}

void DoorwayLink::stop() {
    boost::system::error_code ignored;
    peer_.close(ignored);
    timer_.cancel();
    if (proxy_) proxy_->stop("the gateway has ended");
}

}  // namespace sallyport::app
