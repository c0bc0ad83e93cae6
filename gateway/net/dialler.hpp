#pragma once
// Dials origins for one thread: the resolver, what addresses this machine has itself, and the outer proxy.

#include "gateway/net/dial.hpp"
#include "gateway/net/outer_proxy.hpp"
#include "gateway/net/stream.hpp"

namespace sallyport::net {

class Dialler {
public:
    static constexpr std::chrono::seconds kTimeLimit{15};  ///< resolution and connection
    static constexpr std::size_t kMaxUnderWay = 4096;      ///< of dial()

    /// `local_networks`: see DialRules. `outer`: through which all is dialled but what its no_proxy covers.
    explicit Dialler(Resolver& resolver, bool local_networks = false, std::optional<OuterProxy> outer = std::nullopt)
        : resolver_(resolver), local_networks_(local_networks), outer_(std::move(outer)) {}

    /// See net::dial. The machine's own addresses are read again when they are older than kRefresh.
    /// Through the outer proxy a name is not resolved here, so nothing is said about its addresses: only a literal
    /// address is judged. The proxy itself may have any address; it is no wish of a client's.
    /// ErrorKind::unavailable: kMaxUnderWay.
    Task<Socket> dial(Lifeline&, std::string host, std::uint16_t port, bool private_addresses);
    /// What kind of address `host` has, to which the socket was dialled ("a private address"); nullopt when it is
    /// public, or known to the outer proxy only.
    std::optional<std::string> private_peer(const std::string& host, std::uint16_t port, const Socket&) const;

private:
    static constexpr std::chrono::seconds kRefresh{10};

    bool goes_through_proxy(const std::string& host, std::uint16_t port) const;
    Task<Socket> dial_now(Lifeline&, std::string host, std::uint16_t port, bool private_addresses);

    std::size_t under_way_ = 0;
    Resolver& resolver_;
    const bool local_networks_;
    const std::optional<OuterProxy> outer_;
    std::shared_ptr<const AddressSet> own_;
    Clock::time_point read_at_{};
};

}  // namespace sallyport::net
