#pragma once
// A TCP connection to an origin, by name: resolve, judge the addresses, race the connection attempts.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/base/result.hpp"
#include "gateway/net/address_scope.hpp"
#include "gateway/net/lifeline.hpp"
#include "gateway/net/resolver.hpp"

namespace sallyport::net {

struct DialRules {
    bool private_addresses = false;         ///< the rule says private = true: any address will do
    std::shared_ptr<const AddressSet> own;  ///< addresses of this machine, refused like private ones; may be null
    bool local_networks = false;            ///< is_local_network() will do too, whatever the rule says: audit mode
};

/// Those of the addresses of `host` that may be dialled, in their order; ErrorKind::refused when that is none. Pure.
Result<std::vector<IpAddress>> permitted_addresses(const std::string& host, const std::vector<IpAddress>& addresses,
                                                   const DialRules&);

/// Connects to `host` (a canonical name, or the text of an address). Addresses that the rules refuse are left out
/// before anything is sent to them; the rest is tried in order, the next one 250 ms after the last or as soon as it
/// failed (RFC 8305, 5). The first connection wins, the others are closed. The socket is non-blocking and
/// close-on-exec. Errors: unresolved, refused (every address is refused), unreachable, timed_out; or the lifeline's
/// reason.
boost::asio::awaitable<Result<boost::asio::ip::tcp::socket>> dial(Resolver&, Lifeline&, std::string host,
                                                                  std::uint16_t port, DialRules,
                                                                  Clock::time_point deadline);

}  // namespace sallyport::net
