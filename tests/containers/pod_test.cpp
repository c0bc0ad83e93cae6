// pod.yaml as it ships, played by a real podman, used and attacked from the app.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/engine.hpp"
#include "tests/support/pod.hpp"

using namespace sallyport::test;

namespace {

constexpr const char* kPolicy = R"([[allow]]
host    = "api.example.test"
path    = "/allowed/**"
private = true

[[secret]]
name        = "anthropic"
host        = "api.example.test"
header      = "x-api-key"
value       = { file = "/run/secrets/sallyport/anthropic" }
placeholder = "sk-ant-placeholder"
)";
constexpr const char* kFetch = "curl -sS -m 20 -H \"x-api-key: $ANTHROPIC_API_KEY\" https://api.example.test/allowed/1";
const std::vector<int> kNothing;

std::vector<int> escaped(const Pod& pod, BridgeRecorder& recorder) {
    recorder.seen(1, 199);
    const auto attacked = pod.attack("packets");
    CHECK_MESSAGE(attacked.says("sent 1\n"), attacked.shown());  // it ran: a connection is redirected
    return recorder.seen(1, 199);
}

}  // namespace

TEST_CASE("pod: allowed requests carry the secret, all else is refused") {
    if (!engine_is_ready()) return;
    const Pod pod(kPolicy);
    INFO(pod.started.shown());
    REQUIRE(pod.started.exited_with(0));
    const auto allowed = pod.in_app_in_the_end(kFetch);
    CHECK_MESSAGE(allowed.says("from the origin\n"), allowed.shown());
    const auto path = pod.in_app("curl -sS -m 20 https://api.example.test/other");
    CHECK_MESSAGE(path.says("no rule allows GET /other on api.example.test:443"), path.shown());
    const auto host = pod.in_app("curl -sS -m 20 https://other.example.test/");
    CHECK_MESSAGE(host.complains("Could not resolve host"), host.shown());
    const auto address =
        pod.in_app("curl -sS -m 20 -k --resolve other.example.test:443:198.51.100.50 https://other.example.test/");
    CHECK_MESSAGE(address.says("sallyport refused this request"), address.shown());

    const auto arrived = pod.arrived();
    REQUIRE(arrived.size() == 1);
    CHECK(arrived[0]["path"] == "/allowed/1");
    const bool real = arrived[0]["key"] == Pod::kSecret || arrived[0]["key"] == Pod::kSecretInBase64;
    CHECK_MESSAGE(real, arrived[0].dump());
    CHECK(pod.logs("agent-gateway").find("\"path\":\"/allowed/1\"") != std::string::npos);  // the audit log
}

TEST_CASE("pod: no packet of any kind leaves the app, and the doctor says so") {
    if (!engine_is_ready()) return;
    BridgeRecorder recorder;
    const Pod pod(kPolicy);
    INFO(pod.started.shown());
    REQUIRE(pod.started.exited_with(0));
    REQUIRE(pod.in_app_in_the_end(kFetch).exited_with(0));
    CHECK(escaped(pod, recorder) == kNothing);

    const auto doctor = pod.attack("doctor");
    INFO(doctor.shown());
    CHECK(doctor.says("shared: rules stand between this process and eth0\n"));
    CHECK_FALSE(doctor.says("OPEN"));
    CHECK(doctor.says("\ncontained\nstatus 0\n"));
}

TEST_CASE("pod: the app can neither become another user nor find the secret") {
    if (!engine_is_ready()) return;
    const Pod pod(kPolicy);
    INFO(pod.started.shown());
    REQUIRE(pod.started.exited_with(0));
    const auto became = pod.in_app("python3 -c 'import os; os.setuid(65532)'");
    CHECK_MESSAGE(became.complains("PermissionError"), became.shown());
    const auto status = pod.in_app("grep -E 'CapBnd|NoNewPrivs' /proc/self/status");
    CHECK_MESSAGE(status.says("CapBnd:\t0000000000000000"), status.shown());
    CHECK_MESSAGE(status.says("NoNewPrivs:\t1"), status.shown());
    const auto searched = pod.in_app(  // the patterns do not find themselves
        "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; "
        "grep -rsE 'the-real-[s]ecret|dGhlLXJlYWwtc2Vjcm[V]0' /run /etc /var /tmp; ls /run/secrets");
    CHECK_MESSAGE(searched.says("sk-ant-placeholder"), searched.shown());
    CHECK_MESSAGE(!searched.says(Pod::kSecret), searched.shown());
    CHECK_MESSAGE(!searched.says(Pod::kSecretInBase64), searched.shown());
    CHECK_MESSAGE(!searched.says("anthropic\n"), searched.shown());
    const auto forged = pod.in_app("echo forged >/run/sallyport/trust/ca.pem");
    CHECK_MESSAGE(!forged.exited_with(0), forged.shown());
}

TEST_CASE("pod: where the guard fails, nothing starts after it, and nothing leaves") {
    if (!engine_is_ready()) return;
    BridgeRecorder recorder;
    const Pod pod("usee = []\n", "Never");  // a cluster tries again, at growing intervals
    INFO(pod.started.shown());
    CHECK_FALSE(pod.started.exited_with(0));
    for (const auto* container : {"agent-gateway", "agent-app"}) {
        const auto state = pod.podman({"inspect", "-f", "{{.State.Status}}", container});
        CHECK_MESSAGE(state.out == "created\n", state.shown());
    }
    recorder.seen(1, 199);
    const auto attacked = pod.podman({"run", "--rm", "--cap-drop", "NET_RAW", "--pod", "agent",
                                      "sallyport-test-peer:latest", "/bin/sh", "-c", attack_script("packets")});
    CHECK_MESSAGE(attacked.says("sent 1\n"), attacked.shown());
    CHECK(recorder.seen(1, 199) == kNothing);
}

TEST_CASE("pod: a gateway that is killed leaves nothing open, and serves again once it is back") {
    if (!engine_is_ready()) return;
    BridgeRecorder recorder;
    const Pod pod(kPolicy, "Never");
    INFO(pod.started.shown());
    REQUIRE(pod.started.exited_with(0));
    REQUIRE(pod.in_app_in_the_end(kFetch).exited_with(0));
    REQUIRE(pod.podman({"kill", "agent-gateway"}).exited_with(0));
    CHECK(escaped(pod, recorder) == kNothing);
    CHECK_FALSE(pod.in_app("curl -sS -m 5 https://api.example.test/allowed/1").exited_with(0));
    REQUIRE(pod.podman({"start", "agent-gateway"}).exited_with(0));
    const auto again = pod.in_app_in_the_end(kFetch);
    CHECK_MESSAGE(again.says("from the origin\n"), again.shown());
    CHECK(escaped(pod, recorder) == kNothing);
}

TEST_CASE("pod: a changed ConfigMap is taken over while the gateway serves, a broken one is not") {
    if (!engine_is_ready()) return;
    Pod pod(kPolicy);
    INFO(pod.started.shown());
    REQUIRE(pod.started.exited_with(0));
    REQUIRE(pod.in_app_in_the_end(kFetch).exited_with(0));
    const std::string other = "curl -sS -m 20 --fail https://api.example.test/other/1";
    CHECK_FALSE(pod.in_app(other).exited_with(0));
    std::string policy = kPolicy;
    policy.replace(policy.find("/allowed"), 8, "/other");
    pod.write_policy(policy);
    const auto taken_over = pod.in_app_in_the_end(other);
    CHECK_MESSAGE(taken_over.says("from the origin\n"), taken_over.shown());
    const auto old = pod.in_app(kFetch);
    CHECK_MESSAGE(old.says("sallyport refused this request"), old.shown());

    pod.write_policy("usee = []\n");
    const auto reload = pod.podman({"exec", "agent-gateway", "/usr/local/bin/sallyport", "reload"});
    CHECK_MESSAGE(!reload.exited_with(0), reload.shown());
    const auto kept = pod.in_app(other);
    CHECK_MESSAGE(kept.says("from the origin\n"), kept.shown());
    const auto health = pod.podman({"exec", "agent-gateway", "/usr/local/bin/sallyport", "health"});
    CHECK_MESSAGE(health.exited_with(0), health.shown());
}
