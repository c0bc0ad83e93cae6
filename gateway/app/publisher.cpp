#include "gateway/app/publisher.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

#include "container/doorway_client.hpp"
#include "container/gateway_sockets.hpp"
#include "container/socket_handover.hpp"
#include "gateway/base/startup_error.hpp"
#include "gateway/net/relay.hpp"

namespace sallyport::app {
namespace {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr int kBacklog = 256;
constexpr std::chrono::seconds kConnectTime{5};
constexpr std::chrono::seconds kIdleTime{3600};
constexpr std::chrono::milliseconds kPause{50};

IpAddress loopback(bool v4) {
    return v4 ? IpAddress::v4({127, 0, 0, 1}) : IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

/// One wait for a descriptor that stays the caller's, ended by the session's lifeline.
class Readiness final : public net::Cancellable {
public:
    Readiness(asio::io_context& io, int fd, net::Lifeline& lifeline) : descriptor_(io, fd), lifeline_(lifeline) {
        lifeline_.attach(*this);
    }
    ~Readiness() {
        lifeline_.detach(*this);
        descriptor_.release();
    }
    Readiness(const Readiness&) = delete;
    Readiness& operator=(const Readiness&) = delete;

    net::Task<void> of(Descriptor::wait_type what) {
        if (lifeline_.ended()) co_return lifeline_.reason();
        const auto [ec] = co_await descriptor_.async_wait(what, kNoThrow);
        if (lifeline_.ended()) co_return lifeline_.reason();
        if (ec) co_return Error{ErrorKind::io, ec.message()};
        co_return Result<void>{};
    }
    void cancel() override {
        boost::system::error_code ignored;
        descriptor_.cancel(ignored);
    }
    bool peer_gone() override { return false; }

private:
    Descriptor descriptor_;
    net::Lifeline& lifeline_;
};

/// Nonblocking; empty with errno when the family is not to be had or the port is in use.
UniqueFd listen_on(bool v4, std::uint16_t port) {
    UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
    if (!fd) return fd;
    const int on = 1, off = 0;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!v4) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    sockaddr_storage storage{};
    const auto size = Endpoint{v4 ? IpAddress() : IpAddress::v6({}), port}.to_sockaddr(storage);
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0 && ::listen(fd.get(), kBacklog) == 0)
        return fd;
    const int error = errno;
    fd.reset();
    errno = error;
    return fd;
}

Endpoint endpoint_of(const asio::ip::tcp::endpoint& from) {
    sockaddr_storage storage{};
    std::memcpy(&storage, from.data(), from.size());
    return Endpoint::from_sockaddr(storage).value_or(Endpoint{});
}

/// accept4 and not async_accept, as in session::Listener: close-on-exec from the first moment.
bool accept_one(asio::ip::tcp::acceptor& acceptor, net::Socket& client) {
    boost::system::error_code ec;
    const auto protocol = acceptor.local_endpoint(ec).protocol();
    UniqueFd fd(::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd || ec) return false;
    client.assign(protocol, fd.get(), ec);
    if (!ec) fd.release();
    return !ec;
}

audit::ConnectionEvent describe(const net::Socket& client, const policy::Publication& publication) {
    boost::system::error_code ignored;
    audit::ConnectionEvent event;
    event.decision = audit::Decision::allow;
    event.rule = publication.where.to_string();
    event.client = {endpoint_of(client.remote_endpoint(ignored))};
    event.original_dst = {endpoint_of(client.local_endpoint(ignored))};
    event.host = "sandbox";
    event.port = publication.port;
    event.protocol = "inbound";
    return event;
}

}  // namespace

std::vector<UniqueFd> open_published_ports(const std::vector<policy::Publication>& publications) {
    std::vector<UniqueFd> listeners;
    for (const auto& publication : publications) {
        if (publication.port == container::kExplicitProxyPort)
            throw StartupError(publication.where.to_string() + ": port " + std::to_string(publication.port) +
                               " is the gateway's own in the sandbox: whoever reached it would get the secrets put in");
        auto fd = listen_on(false, publication.listen);
        if (!fd && errno != EADDRINUSE && errno != EACCES) fd = listen_on(true, publication.listen);  // no IPv6 here
        if (!fd)
            throw system_error("cannot listen on port " + std::to_string(publication.listen) + ", published at " +
                                   publication.where.to_string(),
                               errno);
        listeners.push_back(std::move(fd));
    }
    return listeners;
}

Publisher::Publisher(asio::io_context& io, std::string doorway, audit::Audit& audit,
                     const std::vector<policy::Publication>& publications, std::vector<UniqueFd> listeners)
    : io_(io), doorway_(std::move(doorway)), audit_(audit), watchdog_(io.get_executor(), [this] {
          if (!audit_.healthy()) watchdog_.end_all({ErrorKind::unavailable, audit::kUnwritable});
      }) {
    for (std::size_t i = 0; i < listeners.size(); ++i) {
        int family = AF_INET6;
        socklen_t size = sizeof family;
        ::getsockopt(listeners[i].get(), SOL_SOCKET, SO_DOMAIN, &family, &size);
        auto& acceptor = acceptors_.emplace_back(io);
        acceptor.assign(family == AF_INET ? asio::ip::tcp::v4() : asio::ip::tcp::v6(), listeners[i].release());
        asio::co_spawn(io, accept_all(acceptor, publications[i]), asio::detached);
    }
}

void Publisher::stop(const char* why) {
    boost::system::error_code ignored;
    for (auto& acceptor : acceptors_) acceptor.close(ignored);
    end_all(why);
    watchdog_.stop();
}

asio::awaitable<void> Publisher::accept_all(Acceptor& acceptor, policy::Publication publication) {
    asio::steady_timer pause(io_);
    while (acceptor.is_open()) {
        const auto [ec] = co_await acceptor.async_wait(Acceptor::wait_read, kNoThrow);
        if (ec == asio::error::operation_aborted || !acceptor.is_open()) co_return;
        net::Socket client(io_);
        if (connections_ < kMaxConnections && accept_one(acceptor, client)) {
            ++connections_;
            // Only memory can run out in there; the connection is gone then.
            asio::co_spawn(io_, serve(std::move(client), publication), [this](std::exception_ptr) { --connections_; });
            continue;
        }
        pause.expires_after(kPause);  // full, or out of descriptors: connections that end make room
        co_await pause.async_wait(kNoThrow);
    }
}

asio::awaitable<void> Publisher::serve(net::Socket client, policy::Publication publication) {
    auto event = describe(client, publication);
    if (!audit_.healthy()) event.decision = audit::Decision::deny;  // of those there may be any number
    const auto begin = net::Clock::now();
    net::Lifeline lifeline(watchdog_);
    net::Stream outside(std::move(client), lifeline);
    const auto done = co_await relay_into(outside, lifeline, publication.port, event.bytes);
    if (!done) {
        event.reason = done.error().detail;
        outside.reset();
    }
    event.duration = std::chrono::duration_cast<std::chrono::milliseconds>(net::Clock::now() - begin);
    audit_.record(std::move(event));
}

net::Task<void> Publisher::relay_into(net::Stream& outside, net::Lifeline& lifeline, std::uint16_t port,
                                      audit::Traffic& bytes) {
    if (!audit_.healthy()) co_return Error{ErrorKind::unavailable, audit::kUnwritable};
    lifeline.expect_within(kConnectTime, "connecting to the sandbox");
    auto connected = co_await connect_inside(lifeline, port);
    if (!connected) co_return connected.error();
    lifeline.expect_within(kIdleTime, "a byte in either direction");
    net::Stream inside(std::move(*connected), lifeline);
    net::RelayCount count;
    const auto done = co_await net::relay(outside, inside, count);
    bytes = {count.from_client, count.from_origin};
    co_return done;
}

/// IPv6 too: what listens on "localhost" may have chosen ::1.
net::Task<net::Socket> Publisher::connect_inside(net::Lifeline& lifeline, std::uint16_t port) {
    const Endpoint v4{loopback(true), port};
    const Endpoint v6{loopback(false), port};
    auto connected = co_await connect_family(lifeline, v4);
    if (!connected && connected.error().kind == ErrorKind::unreachable) {
        auto second = co_await connect_family(lifeline, v6);
        if (second) co_return std::move(*second);
    }
    co_return connected;
}

net::Task<net::Socket> Publisher::connect_family(net::Lifeline& lifeline, Endpoint to) {
    const bool v4 = to.address.is_v4();
    const auto request = v4 ? container::DoorwayRequest::socket4 : container::DoorwayRequest::socket6;
    const auto call = container::call_doorway(doorway_, request);
    if (!call) co_return Error{ErrorKind::refused, "the doorway is not there"};
    {
        Readiness answer(io_, call.get(), lifeline);
        const auto came = co_await answer.of(Descriptor::wait_read);
        if (!came) co_return came.error();
    }
    auto fresh = container::receive_fresh_socket(call.get());
    if (!fresh) co_return Error{ErrorKind::refused, "the doorway made no socket"};

    sockaddr_storage storage{};
    const auto size = to.to_sockaddr(storage);
    int error = ::connect(fresh.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        Readiness connection(io_, fresh.get(), lifeline);
        const auto ended = co_await connection.of(Descriptor::wait_write);
        if (!ended) co_return ended.error();
        socklen_t length = sizeof error;
        ::getsockopt(fresh.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    }
    if (error != 0) co_return Error{ErrorKind::unreachable, "nothing in the sandbox listens there"};
    net::Socket socket(io_);
    socket.assign(v4 ? asio::ip::tcp::v4() : asio::ip::tcp::v6(), fresh.release());
    co_return std::move(socket);
}

}  // namespace sallyport::app
