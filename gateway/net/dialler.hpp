#pragma once
// Dials origins for one thread: the resolver, and what addresses this machine has itself.

#include "gateway/net/dial.hpp"
#include "gateway/net/stream.hpp"

namespace sallyport::net {

class Dialler {
public:
    static constexpr std::chrono::seconds kTimeLimit{15};   ///< resolution and connection

    /// `local_networks`: see DialRules.
    explicit Dialler(Resolver& resolver, bool local_networks = false)
        : resolver_(resolver), local_networks_(local_networks) {}

    /// See net::dial. The machine's own addresses are read again when they are older than kRefresh.
    Task<Socket> dial(Lifeline&, std::string host, std::uint16_t port, bool private_addresses);

private:
    static constexpr std::chrono::seconds kRefresh{10};

    Resolver& resolver_;
    const bool local_networks_;
    std::shared_ptr<const AddressSet> own_;
    Clock::time_point read_at_{};
};

/// What kind of address the peer has ("a private address"), or nullopt when it is public.
std::optional<std::string> private_peer(const Socket&);

}  // namespace sallyport::net
