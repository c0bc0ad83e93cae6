#pragma once
// pod.yaml as it ships, played by podman, with an origin beside it. Inside scripts/test-engine, after
// engine_is_ready().

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/shell.hpp"
#include "tests/support/stand_in.hpp"

namespace sallyport::test {

/// Up in the constructor, gone in the destructor, with all else that podman runs there. The origin has a certificate
/// for api.example.test. What differs from a cluster, since podman 4.3 is no kubelet:
///  - it knows no native sidecars: the gateway stands first among the containers;
///  - it gives an emptyDir to whichever container comes first, not to all: the volumes are there before, mode 777;
///  - it knows no fsGroup, and makes a Secret's files readable for all in the container;
///  - it gives a Secret's values out as they stand in the manifest, in base64 (decoded since 4.4);
///  - it runs no probes without systemd.
/// What the test changes: policy, secret, the app's image, one more CA for the gateway.
class Pod {
public:
    static constexpr const char* kSecret = "the-real-secret";
    static constexpr const char* kSecretInBase64 = "dGhlLXJlYWwtc2VjcmV0";

    explicit Pod(const std::string& policy, const std::string& restart_policy = "OnFailure");
    ~Pod();
    Pod(const Pod&) = delete;

    /// What `kube play` said, and whether it worked.
    Ran started;

    Ran podman(std::vector<std::string> arguments) const;
    /// As the app's user.
    Ran in_app(const std::string& script) const;
    /// Until the script succeeds, up to thirty seconds; what it said the last time.
    Ran in_app_in_the_end(const std::string& script) const;
    /// "attack: ..." of netns_tests, as the app.
    Ran attack(const std::string& test_case) const;
    std::string logs(const std::string& container) const;
    /// Requests that reached the origin, oldest first.
    std::vector<nlohmann::json> arrived() const;
    /// What a kubelet does some time after the ConfigMap has changed.
    void write_policy(const std::string& policy);

private:
    void start_origin() const;
    void remove_everything() const;

    TempDirectory directory_;
    ShellOptions options_;
    int versions_ = 0;
};

/// `script` for sh(1): that attack, where the peers' image has it.
std::string attack_script(const std::string& test_case);

}  // namespace sallyport::test
