#pragma once
// The real app::Proxy in front of a sealed namespace: clients are sockets made inside, origins listen on loopback
// outside, names come from a name server of the test.

#include <sys/socket.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gateway/app/proxy.hpp"
#include "tests/support/fake_dns.hpp"
#include "tests/support/netns_fixture.hpp"
#include "tests/support/test_ca.hpp"
#include "tests/support/wire_peer.hpp"

namespace sallyport::test {

class SealedGateway {
public:
    /// Null where namespaces cannot be had (said, and failed where CI is set). `names`: name and address, for the
    /// gateway's resolver.
    static std::unique_ptr<SealedGateway> start(const std::string& policy_toml,
                                                const std::vector<std::pair<std::string, std::string>>& names = {},
                                                session::TimeLimits limits = {},
                                                std::optional<net::OuterProxy> outer_proxy = std::nullopt);
    ~SealedGateway();

    /// The authority of origins that the gateway trusts.
    static const testing::TestCa& origin_ca();

    /// A connection that a program in the sandbox made. Throws when it is refused.
    WirePeer connect(const std::string& address, std::uint16_t port, int type = SOCK_STREAM);
    /// The address that the sandbox's DNS gives for `name`; "" when it gives none.
    std::string lookup(const std::string& name);
    /// A TLS client that trusts the gateway's CA. `server_name` is sent and verified; "" sends none.
    tls::SslPtr tls_client(const std::string& server_name);
    /// connect() and a handshake that must succeed.
    WirePeer connect_tls(const std::string& address, std::uint16_t port, const std::string& server_name);

    /// Returns how many requests and streams that ended.
    std::size_t replace_policy(const std::string& toml);

    const Namespaces& inside() const;
    /// Where the gateway listens in the sandbox's namespace.
    std::uint16_t port() const;
    /// Ends the gateway; what it has recorded.
    std::vector<nlohmann::json> finish();
    /// After finish(): every name that the gateway's resolver asked for outside, and how often.
    const std::map<std::string, int>& names_asked() const;

private:
    struct Parts;
    explicit SealedGateway(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace sallyport::test
