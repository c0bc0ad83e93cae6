#pragma once
// Real containers: the engine that scripts/test-engine started around us, the images that the tests use, and a compose
// project under way.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gateway/base/unique_fd.hpp"
#include "tests/support/shell.hpp"
#include "tests/support/stand_in.hpp"

namespace sallyport::test {

/// False: not started by scripts/test-engine (said, and failed where CI is set). The first call makes the images
/// `sallyport`, with the Dockerfile or from the image that SALLYPORT_IMAGE names, and `sallyport-test-peer`; throws
/// std::runtime_error when they cannot be built.
bool engine_is_ready();

/// Waits up to five minutes.
Ran docker(std::vector<std::string> arguments);

/// Every frame that passes the engine's side: the bridges that containers hang on. Attacks carry their number
/// (packet_attacks.hpp).
class BridgeRecorder {
public:
    BridgeRecorder();
    /// Those of `numbers` that were seen since the last call.
    std::vector<int> seen(int first, int last);

private:
    UniqueFd socket_;
};

struct ComposeSpec {
    std::string file = "compose.yaml";  ///< in the checkout
    std::string policy = {};
    std::string secret = "the-real-secret";
    int secret_mode = 0644;
};

/// `up` in the constructor, `down` in the destructor. Its origin has a certificate for api.example.test and answers on
/// other.example.test too.
class Compose {
public:
    explicit Compose(const ComposeSpec& spec);
    ~Compose();
    Compose(const Compose&) = delete;

    /// What `up` said, and whether it worked.
    Ran started;

    Ran compose(std::vector<std::string> arguments) const;
    /// As root in a service's container.
    Ran exec(const std::string& service, const std::string& script) const;
    Ran in_app(const std::string& script) const { return exec("app", script); }
    /// Until the script succeeds, up to thirty seconds; what it said the last time.
    Ran in_app_in_the_end(const std::string& script) const;
    /// "attack: ..." of netns_tests, in the app.
    Ran attack(const std::string& test_case) const;

    std::string logs(const std::string& service) const;
    /// Requests that reached the origin, oldest first.
    std::vector<nlohmann::json> arrived() const;
    void write_policy(const std::string& policy) const;

private:
    TempDirectory directory_;
    ShellOptions options_;
    std::vector<std::string> command_;
};

}  // namespace sallyport::test
