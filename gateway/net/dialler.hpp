#pragma once
// Dials origins for one thread: the resolver, and what addresses this machine has itself.

#include "gateway/net/dial.hpp"
#include "gateway/net/stream.hpp"

namespace sallyport::net {

class Dialler {
public:
    static constexpr std::chrono::seconds kTimeLimit{15};   ///< resolution and connection

    explicit Dialler(Resolver& resolver) : resolver_(resolver) {}

    /// See net::dial. The machine's own addresses are read again when they are older than kRefresh.
    Task<Socket> dial(Lifeline&, std::string host, std::uint16_t port, bool private_addresses);

private:
    static constexpr std::chrono::seconds kRefresh{10};

    Resolver& resolver_;
    std::shared_ptr<const AddressSet> own_;
    Clock::time_point read_at_{};
};

}  // namespace sallyport::net
