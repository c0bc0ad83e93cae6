// compose.yaml and scripts/compose/shared.yaml as they ship, in a real engine, used and attacked from the app.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/engine.hpp"

using namespace sallyport::test;

namespace {

constexpr const char* kPolicy = R"(
[[allow]]
host    = "api.example.test"
path    = "/allowed/**"
private = true

[[allow]]
host    = "db"
port    = 5432
private = true

[[secret]]
name        = "anthropic"
host        = "api.example.test"
header      = "x-api-key"
value       = { file = "/run/secrets/anthropic" }
placeholder = "sk-ant-placeholder"

[[publish]]
port = 3000
)";
constexpr const char* kFetch = "curl -sS -m 20 -H \"x-api-key: $ANTHROPIC_API_KEY\" https://api.example.test/allowed/1";
const std::vector<int> kNothing;

/// Says nothing when the database's greeting and echo arrived.
constexpr const char* kAskDatabase = R"(python3 - <<'END'
import socket
s = socket.create_connection(("db", 5432), 20).makefile("rw")
assert s.readline() == "ready\n"
s.write("hello\n")
s.flush()
assert s.readline() == "hello\n"
END)";

void check_requests(const Compose& sandbox) {
    const auto allowed = sandbox.in_app(kFetch);
    CHECK_MESSAGE(allowed.out == "from the origin\n", allowed.shown());
    const auto path = sandbox.in_app("curl -sS -m 20 https://api.example.test/other");
    CHECK_MESSAGE(path.says("no rule allows GET /other on api.example.test:443"), path.shown());
    const auto host = sandbox.in_app("curl -sS -m 20 https://other.example.test/");
    CHECK_MESSAGE(host.complains("Could not resolve host"), host.shown());
    const auto address =
        sandbox.in_app("curl -sS -m 20 -k --resolve other.example.test:443:198.51.100.50 https://other.example.test/");
    CHECK_MESSAGE(address.says("sallyport refused this request"), address.shown());

    const auto arrived = sandbox.arrived();
    REQUIRE(arrived.size() == 1);
    CHECK(arrived[0]["path"] == "/allowed/1");
    CHECK(arrived[0]["key"] == "the-real-secret");
}

void check_secret(const Compose& sandbox) {
    const auto searched = sandbox.in_app(
        "env; cat /proc/[0-9]*/environ; find /run /etc /var /tmp -type f | xargs grep -h the-real-secre[t]; ls "
        "/run/secrets");
    CHECK_MESSAGE(searched.says("sk-ant-placeholder"), searched.shown());
    CHECK_MESSAGE(!searched.says("the-real-secret"), searched.shown());
    CHECK_MESSAGE(!searched.says("anthropic\n"), searched.shown());
}

void check_services(const Compose& sandbox) {
    const auto database = sandbox.in_app(kAskDatabase);
    CHECK_MESSAGE(database.exited_with(0), database.shown());
    const auto other_port = sandbox.in_app("curl -sS -m 20 http://db:5433/");
    CHECK_MESSAGE(other_port.says("no rule names db:5433"), other_port.shown());

    const auto server = sandbox.in_app("cd /attack && (setsid python3 -m http.server 3000 >/dev/null 2>&1 &)");
    CHECK_MESSAGE(server.exited_with(0), server.shown());
    const auto published = run_program({"curl", "-sS", "-m", "20", "--retry", "20", "--retry-delay", "1",
                                        "--retry-all-errors", "http://127.0.0.1:3000/"});
    CHECK_MESSAGE(published.says("netns_tests"), published.shown());
}

std::vector<int> escaped(const Compose& sandbox, BridgeRecorder& recorder) {
    recorder.seen(1, 199);
    const auto attacked = sandbox.attack("packets");
    CHECK_MESSAGE(attacked.says("1 passed"), attacked.shown());  // it ran
    return recorder.seen(1, 199);
}

}  // namespace

TEST_CASE("containers: an ordinary container's packets are seen by the recorder") {
    if (!engine_is_ready()) return;
    BridgeRecorder recorder;
    const auto attacked = docker({"run", "--rm", "-w", "/attack", "sallyport-test-peer", "./ld-linux-x86-64.so.2",
                                  "--library-path", ".", "./netns_tests", "--no-skip", "-tc=attack: packets"});
    INFO(attacked.shown());
    const auto seen = recorder.seen(1, 199);
    for (const int number : {1, 4, 8, 20, 26, 29, 33, 34, 38, 40}) {
        CAPTURE(number);
        CHECK(std::count(seen.begin(), seen.end(), number) == 1);
    }
}

TEST_CASE(
    "compose, sealed: allowed requests carry the secret, all else is refused, services are there, nothing escapes") {
    if (!engine_is_ready()) return;
    BridgeRecorder recorder;
    const Compose sandbox({.policy = kPolicy});
    INFO(sandbox.started.shown());
    REQUIRE(sandbox.started.exited_with(0));
    check_requests(sandbox);
    check_secret(sandbox);
    check_services(sandbox);
    CHECK(escaped(sandbox, recorder) == kNothing);
}

TEST_CASE("compose, shared: the same, where the app has no NET_RAW") {
    if (!engine_is_ready()) return;
    BridgeRecorder recorder;
    const Compose sandbox({.file = "scripts/compose/shared.yaml", .policy = kPolicy});
    INFO(sandbox.started.shown());
    REQUIRE(sandbox.started.exited_with(0));
    check_requests(sandbox);
    check_secret(sandbox);
    check_services(sandbox);
    CHECK(escaped(sandbox, recorder) == kNothing);

    const auto resolver = sandbox.in_app(
        "python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
        "s.settimeout(5); s.sendto(b\"x\", (\"127.0.0.11\", 9)); s.recv(9)'");
    CHECK_MESSAGE(!resolver.exited_with(0), resolver.shown());

    REQUIRE(sandbox.compose({"restart", "-t", "1", "gateway"}).exited_with(0));
    CHECK(escaped(sandbox, recorder) == kNothing);
    CHECK_FALSE(
        sandbox.in_app("curl -sS -m 3 https://api.example.test/allowed/1").exited_with(0));  // an empty namespace
    REQUIRE(sandbox.compose({"restart", "-t", "1", "app"}).exited_with(0));
    const auto again = sandbox.in_app_in_the_end(kFetch);
    CHECK_MESSAGE(again.says("from the origin"), again.shown());
}

TEST_CASE("compose, sealed: a restart of any of the three never opens, and ends where the README says") {
    if (!engine_is_ready()) return;
    BridgeRecorder recorder;
    const Compose sandbox({.policy = kPolicy});
    INFO(sandbox.started.shown());
    REQUIRE(sandbox.started.exited_with(0));
    const auto restart = [&](const char* service) {
        const auto restarted = sandbox.compose({"restart", "-t", "1", service});
        CHECK_MESSAGE(restarted.exited_with(0), restarted.shown());
        CHECK(escaped(sandbox, recorder) == kNothing);
    };
    const auto works = [&] {
        const auto fetched = sandbox.in_app_in_the_end(kFetch);
        CHECK_MESSAGE(fetched.says("from the origin"), fetched.shown());
    };

    restart("gateway");
    works();
    restart("app");
    works();

    // The doorway takes its namespace along: who was in there has to come to the new one.
    restart("doorway");
    CHECK_FALSE(sandbox.in_app("curl -sS -m 3 https://api.example.test/allowed/1").exited_with(0));
    restart("app");
    works();
    restart("doorway");
    restart("gateway");
    restart("app");
    works();

    REQUIRE(sandbox.compose({"stop", "-t", "1", "gateway"}).exited_with(0));
    CHECK(escaped(sandbox, recorder) == kNothing);
    const auto waits =
        sandbox.in_app("curl -sS -m 3 --resolve api.example.test:443:198.18.0.9 https://api.example.test/allowed/1");
    CHECK_MESSAGE(waits.complains("timed out"), waits.shown());  // not refused: the doorway holds the place
    REQUIRE(sandbox.compose({"start", "gateway"}).exited_with(0));
    works();
}
