#include "gateway/net/dial.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "gateway/base/unique_fd.hpp"
#include "gateway/net/descriptors.hpp"
#include "gateway/net/lifeline_timer.hpp"

namespace sallyport::net {

namespace asio = boost::asio;

namespace {

using Socket = asio::ip::tcp::socket;

constexpr std::chrono::milliseconds kAttemptDelay{250};  // RFC 8305, 8

/// The attempts under way. Their handlers share it, and do nothing once the dialling coroutine is done with it.
struct Race {
    Race(const std::string& to, std::size_t attempts) : name(to) { sockets.reserve(attempts); }

    std::string name;
    std::vector<Socket> sockets;  // never grows beyond what was reserved: attempts under way must not move
    std::size_t pending = 0;
    std::optional<std::size_t> winner;
    std::string failure;
    Clock::time_point next_start = Clock::time_point::min();
    LifelineTimer* waiter = nullptr;

    void failed(const Endpoint& to, const std::string& why) {
        failure = fmt::format("{}: {} ({})", name, why, to.to_string());
        next_start = Clock::time_point::min();
    }
};

/// Ends the race with the coroutine, however that ends.
class RaceOwner {
public:
    RaceOwner(Race& race, LifelineTimer& waiter) : race_(race) { race_.waiter = &waiter; }
    ~RaceOwner() {
        race_.waiter = nullptr;
        boost::system::error_code ignored;
        for (auto& socket : race_.sockets) socket.close(ignored);
    }
    RaceOwner(const RaceOwner&) = delete;
    RaceOwner& operator=(const RaceOwner&) = delete;

private:
    Race& race_;
};

/// By hand, since Asio does not make sockets close-on-exec.
UniqueFd open_socket(bool v4) {
    if (!descriptors_left()) return {};
    return UniqueFd(::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
}

void start_attempt(const std::shared_ptr<Race>& race, const asio::any_io_executor& executor, const Endpoint& to) {
    const bool v4 = to.address.is_v4();
    UniqueFd fd = open_socket(v4);
    if (!fd) return race->failed(to, std::generic_category().message(errno));
    Socket& socket = race->sockets.emplace_back(executor);
    boost::system::error_code ec;
    socket.assign(v4 ? asio::ip::tcp::v4() : asio::ip::tcp::v6(), fd.get(), ec);
    if (ec) return race->failed(to, ec.message());
    fd.release();

    sockaddr_storage storage{};
    const unsigned size = to.to_sockaddr(storage);
    asio::ip::tcp::endpoint endpoint;
    endpoint.resize(size);
    std::memcpy(endpoint.data(), &storage, size);
    ++race->pending;
    race->next_start = Clock::now() + kAttemptDelay;
    socket.async_connect(endpoint,
                         [race, to, index = race->sockets.size() - 1](const boost::system::error_code& error) {
                             --race->pending;
                             if (!race->waiter) return;
                             if (error) race->failed(to, error.message());
                             else if (!race->winner) race->winner = index;
                             race->waiter->wake();
                         });
}

}  // namespace

Result<std::vector<IpAddress>> permitted_addresses(const std::string& host, const std::vector<IpAddress>& addresses,
                                                   const DialRules& rules) {
    static const AddressSet kNone;
    std::vector<IpAddress> good;
    std::string refusal;
    for (const auto& address : addresses) {
        const auto& own = rules.own ? *rules.own : kNone;
        const bool any = rules.private_addresses || (rules.local_networks && is_local_network(address, own));
        const auto reason = any ? std::nullopt : private_reason(address, own);
        if (!reason) good.push_back(address);
        else if (refusal.empty() && host == address.to_string()) refusal = fmt::format("{} is {}", host, *reason);
        else if (refusal.empty()) refusal = fmt::format("{} resolves to {}, {}", host, address.to_string(), *reason);
    }
    if (good.empty()) return Error{ErrorKind::refused, refusal + ": private = true in the rule allows it"};
    return good;
}

asio::awaitable<Result<Socket>> dial(Resolver& resolver, Lifeline& lifeline, std::string host, std::uint16_t port,
                                     DialRules rules, Clock::time_point deadline) {
    Result<std::vector<IpAddress>> addresses = std::vector<IpAddress>{};
    if (const auto literal = IpAddress::parse(host)) addresses->push_back(*literal);
    else addresses = co_await resolver.resolve(host, lifeline, deadline);
    if (addresses) addresses = permitted_addresses(host, *addresses, rules);
    if (!addresses) co_return addresses.error();

    const auto executor = co_await asio::this_coro::executor;
    LifelineTimer timer(executor, lifeline);
    const auto race = std::make_shared<Race>(fmt::format("{}:{}", host, port), addresses->size());
    const RaceOwner owner(*race, timer);
    for (std::size_t next = 0;;) {
        if (lifeline.ended()) co_return lifeline.reason();  // first: a connection for it must not be used any more
        if (race->winner) co_return std::move(race->sockets[*race->winner]);
        const bool more = next < addresses->size();
        const auto now = Clock::now();
        if (now >= deadline) co_return Error{ErrorKind::timed_out, race->name + " did not answer in time"};
        if (!more && race->pending == 0) co_return Error{ErrorKind::unreachable, race->failure};
        if (more && now >= race->next_start) start_attempt(race, executor, Endpoint{(*addresses)[next++], port});
        else co_await timer.wait_until(more ? std::min(deadline, race->next_start) : deadline);
    }
}

}  // namespace sallyport::net
