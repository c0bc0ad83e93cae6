#pragma once
// A gateway's inner half for tests: everything behind accept, with real policy, secrets, resolver and pool.

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "gateway/session/http_service.hpp"
#include "tests/support/wire_peer.hpp"

namespace sallyport::test {

class GatewayFixture {
public:
    explicit GatewayFixture(const std::string& policy_toml, session::TimeLimits limits = {});
    ~GatewayFixture();

    /// The client's end of a plain connection that HttpService serves.
    WirePeer http_client(std::string name, std::uint16_t port);

private:
    struct Parts;
    std::string audit_file_;
    std::unique_ptr<Parts> parts_;
};

}  // namespace sallyport::test
