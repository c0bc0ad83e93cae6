#include "gateway/net/dialler.hpp"

namespace sallyport::net {
namespace {

Task<Socket> dial_through(Resolver& resolver, const OuterProxy& proxy, Lifeline& lifeline, std::string host,
                          std::uint16_t port, Clock::time_point deadline) {
    const DialRules any{true, nullptr, false};
    auto socket = co_await dial(resolver, lifeline, proxy.host, proxy.port, any, deadline);
    if (!socket && lifeline.ended()) co_return socket.error();
    if (!socket) co_return Error{socket.error().kind, "the outer proxy cannot be reached: " + socket.error().detail};
    co_return co_await connect_through(std::move(*socket), proxy, lifeline, std::move(host), port, deadline);
}

class Counted {
public:
    explicit Counted(std::size_t& count) : count_(count) { ++count_; }
    ~Counted() { --count_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

private:
    std::size_t& count_;
};

}  // namespace

Task<Socket> Dialler::dial(Lifeline& lifeline, std::string host, std::uint16_t port, bool private_addresses) {
    if (under_way_ >= kMaxUnderWay)
        co_return Error{ErrorKind::unavailable, host + ": too many connections to origins are being made"};
    const Counted counted(under_way_);
    co_return co_await dial_now(lifeline, std::move(host), port, private_addresses);
}

Task<Socket> Dialler::dial_now(Lifeline& lifeline, std::string host, std::uint16_t port, bool private_addresses) {
    const auto now = Clock::now();
    if (!own_ || now - read_at_ > kRefresh) {
        auto own = own_addresses();
        if (!own) co_return own.error();  // without them a rule could not be kept
        own_ = std::make_shared<const AddressSet>(std::move(*own));
        read_at_ = now;
    }
    const DialRules rules{private_addresses, own_,
                          local_networks_};  // a name of its own: GCC 12 destroys a braced temporary twice here
    if (!goes_through_proxy(host, port))
        co_return co_await net::dial(resolver_, lifeline, std::move(host), port, rules, now + kTimeLimit);
    if (const auto literal = IpAddress::parse(host)) {
        const auto permitted = permitted_addresses(host, {*literal}, rules);
        if (!permitted) co_return permitted.error();
    }
    co_return co_await dial_through(resolver_, *outer_, lifeline, std::move(host), port, now + kTimeLimit);
}

bool Dialler::goes_through_proxy(const std::string& host, std::uint16_t port) const {
    return outer_ && !outer_->no_proxy.covers(host, port);
}

std::optional<std::string> Dialler::private_peer(const std::string& host, std::uint16_t port,
                                                 const Socket& socket) const {
    boost::system::error_code ec;
    const auto peer = socket.remote_endpoint(ec);
    auto address = ec ? std::nullopt : IpAddress::parse(peer.address().to_string());
    if (goes_through_proxy(host, port)) address = IpAddress::parse(host);
    const auto reason = address ? private_reason(*address) : std::nullopt;
    if (!reason) return std::nullopt;
    return std::string(*reason);
}

}  // namespace sallyport::net
