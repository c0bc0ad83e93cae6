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
    const DialRules rules{private_addresses, own_};   // a name of its own: GCC 12 destroys a braced temporary twice here
    co_return co_await net::dial(resolver_, lifeline, std::move(host), port, rules, now + kTimeLimit);
}

}  // namespace sallyport::net
