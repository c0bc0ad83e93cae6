// UDP: one coroutine a socket, woken when it is readable, answering a bounded batch before it lets others run.
// TCP (RFC 7766): one coroutine a connection, answering in the order of the questions, each under a deadline.
// Every coroutine shares ownership of State, so destroying the Server only has to close what they wait for.
#include "gateway/dns/server.hpp"

#include <sys/socket.h>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <list>
#include <utility>

#include "gateway/base/startup_error.hpp"
#include "gateway/dns/denied_names.hpp"
#include "gateway/wire/dns_message.hpp"

namespace sallyport::dns {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using boost::system::error_code;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr int kBatch = 64;
constexpr std::chrono::milliseconds kAcceptPause{100};

int option(int fd, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    if (::getsockopt(fd, SOL_SOCKET, name, &value, &length) != 0) throw system_error("a DNS socket", errno);
    return value;
}

/// Hands the descriptor to an Asio socket or acceptor, which closes it from now on.
template <class Socket>
void adopt(Socket& socket, UniqueFd fd) {
    using Protocol = typename Socket::protocol_type;
    const auto protocol = option(fd.get(), SO_DOMAIN) == AF_INET6 ? Protocol::v6() : Protocol::v4();
    if (option(fd.get(), SO_TYPE) != protocol.type()) throw StartupError("a DNS socket has the wrong type");
    socket.assign(protocol, fd.get());
    fd.release();
    socket.non_blocking(true);
}

/// Runs `operation` on `socket`; true when it moved all its bytes in time.
template <class Operation>
asio::awaitable<bool> in_time(tcp::socket& socket, std::chrono::milliseconds limit, Operation operation) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer deadline(socket.get_executor(), limit);
    const auto first = co_await (std::move(operation) || deadline.async_wait(kToken));
    co_return first.index() == 0 && !std::get<0>(std::get<0>(first));
}

}  // namespace

struct Server::State {
    using Ptr = std::shared_ptr<State>;
    using Connection = std::list<tcp::socket>::iterator;

    std::shared_ptr<VirtualAddresses> addresses;
    PolicySource policy;
    OnDenied on_denied;
    Limits limits;
    DeniedNames denied_names;
    std::list<udp::socket> udp_sockets;
    std::list<tcp::acceptor> acceptors;
    std::list<tcp::socket> connections;
    bool stopped = false;

    std::vector<std::uint8_t> reply_to(std::span<const std::uint8_t> query, Transport transport) {
        auto result = answer(*policy(), *addresses, query, transport);
        if (result.denied)
            for (const auto& report : denied_names.note(std::move(*result.denied), DeniedNames::Clock::now()))
                on_denied(report);
        return std::move(result.message);
    }

    /// False when nothing waits to be read. An answer that the socket has no room for is dropped, as networks do.
    bool answer_datagram(udp::socket& socket) {
        std::array<std::uint8_t, wire::kMaxDnsQuery + 1> buffer;  // one more, so that a cut query is seen as too long
        udp::endpoint client;
        error_code error;
        const auto length = socket.receive_from(asio::buffer(buffer), client, 0, error);
        if (error) return false;
        const auto reply = reply_to({buffer.data(), length}, Transport::udp);
        if (!reply.empty()) socket.send_to(asio::buffer(reply), client, 0, error);
        return true;
    }

    static asio::awaitable<void> serve_datagrams(Ptr state, udp::socket& socket) {
        while (true) {
            const auto [error] = co_await socket.async_wait(udp::socket::wait_read, kToken);
            if (state->stopped || error) co_return;
            for (int i = 0; i < kBatch && state->answer_datagram(socket); ++i) continue;
        }
    }

    static asio::awaitable<void> serve_connection(Ptr state, Connection connection) {
        tcp::socket& socket = *connection;
        const auto limit = state->limits.message_deadline;
        std::vector<std::uint8_t> message;
        while (!state->stopped) {
            std::array<std::uint8_t, 2> prefix{};
            if (!co_await in_time(socket, limit, asio::async_read(socket, asio::buffer(prefix), kToken))) break;
            const std::size_t length = static_cast<std::size_t>(prefix[0]) << 8 | prefix[1];
            if (length > wire::kMaxDnsQuery) break;
            message.resize(length);
            if (!co_await in_time(socket, limit, asio::async_read(socket, asio::buffer(message), kToken))) break;
            if (state->stopped) break;
            auto reply = state->reply_to(message, Transport::tcp);
            if (reply.empty()) break;
            prefix = {static_cast<std::uint8_t>(reply.size() >> 8), static_cast<std::uint8_t>(reply.size())};
            reply.insert(reply.begin(), prefix.begin(), prefix.end());
            if (!co_await in_time(socket, limit, asio::async_write(socket, asio::buffer(reply), kToken))) break;
        }
        state->connections.erase(connection);
    }

    /// accept4 and not async_accept: that one leaves a moment in which a child process could inherit the socket.
    /// Returns 0 or errno. Over the limit a connection is closed at once: resolvers then try again.
    static int accept_one(const Ptr& state, tcp::acceptor& acceptor) {
        UniqueFd fd(::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd) return errno;
        if (state->connections.size() >= state->limits.connections) return 0;
        tcp::socket socket(acceptor.get_executor());
        error_code error;
        socket.assign(option(fd.get(), SO_DOMAIN) == AF_INET6 ? tcp::v6() : tcp::v4(), fd.get(), error);
        if (error) return 0;
        fd.release();
        const auto place = state->connections.insert(state->connections.end(), std::move(socket));
        asio::co_spawn(acceptor.get_executor(), serve_connection(state, place), asio::detached);
        return 0;
    }

    static asio::awaitable<void> accept_connections(Ptr state, tcp::acceptor& acceptor) {
        while (true) {
            const auto [error] = co_await acceptor.async_wait(tcp::acceptor::wait_read, kToken);
            if (state->stopped || error) co_return;
            const int failed = accept_one(state, acceptor);
            if (failed != EMFILE && failed != ENFILE && failed != ENOBUFS && failed != ENOMEM) continue;
            // The connection stays in the backlog, and the acceptor readable: without a pause we would spin.
            asio::steady_timer pause(acceptor.get_executor(), kAcceptPause);
            co_await pause.async_wait(kToken);
            if (state->stopped) co_return;
        }
    }

    void stop() {
        stopped = true;
        error_code ignored;
        for (auto& socket : udp_sockets) socket.close(ignored);
        for (auto& acceptor : acceptors) acceptor.close(ignored);
        for (auto& connection : connections) connection.close(ignored);
    }
};

Server::Server(asio::io_context& context, Sockets sockets, std::shared_ptr<VirtualAddresses> addresses,
               PolicySource policy, OnDenied on_denied, Limits limits)
    : state_(std::make_shared<State>()) {
    state_->addresses = std::move(addresses);
    state_->policy = std::move(policy);
    state_->on_denied = std::move(on_denied);
    state_->limits = limits;
    for (auto& fd : sockets.udp) adopt(state_->udp_sockets.emplace_back(context), std::move(fd));
    for (auto& fd : sockets.tcp) adopt(state_->acceptors.emplace_back(context), std::move(fd));
    for (auto& socket : state_->udp_sockets)
        asio::co_spawn(context, State::serve_datagrams(state_, socket), asio::detached);
    for (auto& acceptor : state_->acceptors)
        asio::co_spawn(context, State::accept_connections(state_, acceptor), asio::detached);
}

Server::~Server() {
    if (state_) state_->stop();
}

Server::Server(Server&&) noexcept = default;

}  // namespace sallyport::dns
