#pragma once
// The HTTP proxy that a network demands: connections to origins are asked of it by CONNECT (RFC 9110, 9.3.6).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/endpoint.hpp"
#include "gateway/net/stream.hpp"

namespace sallyport::net {

/// Which hosts are dialled directly, as NO_PROXY says it: a list of names (each with all below it, whether or not it
/// begins with a dot), addresses, networks, each perhaps with a port, or "*". What is none of these matches nothing.
class NoProxy {
public:
    explicit NoProxy(std::string_view list = {});
    /// `host` is canonical. True for "localhost" and loopback addresses too, whatever the list says: to the proxy they
    /// would be its own.
    bool covers(std::string_view host, std::uint16_t port) const;

private:
    struct Entry {
        std::string name;        ///< or, where there is a prefix, nothing
        std::uint16_t port = 0;  ///< 0: any
        IpAddress network;
        std::optional<int> prefix;
    };
    static std::optional<Entry> parse(std::string_view);

    std::vector<Entry> entries_;
    bool all_ = false;
};

struct OuterProxy {
    std::string host;
    std::uint16_t port = 80;
    std::string authorization;  ///< of Proxy-Authorization: Basic, with the URL's user and password; or empty
    NoProxy no_proxy;

    /// "http://[USER[:PASSWORD]@]HOST[:PORT]", the scheme may be missing. Throws StartupError, which names `source`
    /// and nothing of the URL, since that may hold a password.
    static OuterProxy parse(std::string_view url, std::string_view no_proxy, const std::string& source);
};

/// Asks the proxy at the other end of the socket for a connection to `host`, and reads its answer: not one byte of
/// what comes behind that. The answer's head has at most kMaxProxyAnswer bytes.
/// Errors: unreachable (the proxy refuses), malformed, too_large, timed_out; or the lifeline's reason.
Task<Socket> connect_through(Socket, const OuterProxy&, Lifeline&, std::string host, std::uint16_t port,
                             Clock::time_point deadline);

inline constexpr std::size_t kMaxProxyAnswer = 16 * 1024;

}  // namespace sallyport::net
