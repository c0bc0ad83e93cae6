#pragma once
// The real app::Proxy on loopback, for tests that need many connections and no namespaces: its listeners, its bounds,
// its DNS. Clients come through the explicit proxy.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gateway/app/proxy.hpp"
#include "tests/support/test_ca.hpp"
#include "tests/support/wire_peer.hpp"

namespace sallyport::test {

struct ProxyGroundOptions {
    session::TimeLimits limits = {};
    std::size_t most_sessions = 1000;
    std::string audit_file = {};  ///< default: a file of its own
};

/// Names below .test are 127.0.0.1 for the gateway.
class ProxyGround {
public:
    explicit ProxyGround(const std::string& policy_toml, ProxyGroundOptions options = {});
    ~ProxyGround();

    /// The authority of origins that the gateway trusts.
    static const testing::TestCa& origin_ca();

    std::uint16_t port() const;      ///< of the explicit proxy
    std::uint16_t dns_port() const;  ///< over UDP and over TCP
    const std::string& ca_pem() const;

    /// A connection to the explicit proxy on which nothing was said.
    WirePeer connect() const;
    /// The inside of a tunnel to there. Throws when the gateway does not make one.
    WirePeer tunnel(const std::string& name, std::uint16_t port) const;
    /// tunnel() and a handshake for the name. Throws unless the gateway takes `protocol`.
    WirePeer tls(const std::string& name, std::uint16_t port, const std::string& protocol = "http/1.1") const;

    /// Connections that are served at the moment.
    std::size_t sessions() const;
    /// Sessions, their requests and connections to origins.
    std::size_t under_way() const;
    /// Ends the gateway; what it has recorded.
    std::vector<nlohmann::json> finish();

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

/// CONNECT and its answer on a connection to the explicit proxy. False: refused.
bool open_tunnel(WirePeer& peer, const std::string& name, std::uint16_t port);
/// A client that trusts this authority; sessions are not resumed.
tls::SslCtxPtr client_context(const std::string& ca_pem);
/// Client side of a handshake for `name`.
tls::SslPtr client_ssl(const tls::SslCtxPtr& context, const std::string& name, const std::string& protocol);

/// True once it holds; false after ten seconds in which it did not.
bool comes_true(const std::function<bool()>& condition);

/// Descriptors that this process has open.
std::size_t open_descriptors();
/// What of this process is in memory, in bytes.
std::size_t resident_bytes();

}  // namespace sallyport::test
