#pragma once
// A gateway's inner half for tests: everything behind accept, with real policy, secrets, resolver and pool.

#include <boost/asio/io_context.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>

#include "gateway/session/http1_service.hpp"
#include "tests/support/wire_peer.hpp"

namespace sallyport::test {

class GatewayFixture {
public:
    explicit GatewayFixture(const std::string& policy_toml, session::TimeLimits limits = {});
    ~GatewayFixture();

    /// The client's end of a plain connection that Http1Service serves.
    WirePeer http_client(std::string name, std::uint16_t port);
    /// Returns how many requests that ended.
    std::size_t replace_policy(const std::string& toml);
    /// Ends the gateway; what it has recorded.
    std::vector<nlohmann::json> finish();

private:
    struct Parts;
    void end();

    std::string audit_file_;
    std::unique_ptr<Parts> parts_;
};

}  // namespace sallyport::test
