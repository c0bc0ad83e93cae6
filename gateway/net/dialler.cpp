#include "gateway/net/dialler.hpp"

namespace sallyport::net {

Task<Socket> Dialler::dial(Lifeline& lifeline, std::string host, std::uint16_t port, bool private_addresses) {
    const auto now = Clock::now();
    if (!own_ || now - read_at_ > kRefresh) {
        auto own = own_addresses();
        if (!own) co_return own.error();   // without them a rule could not be kept
        own_ = std::make_shared<const AddressSet>(std::move(*own));
        read_at_ = now;
    }
    const DialRules rules{private_addresses, own_, local_networks_};   // a name of its own: GCC 12 destroys a braced temporary twice here
    co_return co_await net::dial(resolver_, lifeline, std::move(host), port, rules, now + kTimeLimit);
}

std::optional<std::string> private_peer(const Socket& socket) {
    boost::system::error_code ec;
    const auto peer = socket.remote_endpoint(ec);
    const auto address = ec ? std::nullopt : IpAddress::parse(peer.address().to_string());
    const auto reason = address ? private_reason(*address) : std::nullopt;
    if (!reason) return std::nullopt;
    return std::string(*reason);
}

}  // namespace sallyport::net
