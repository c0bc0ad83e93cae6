#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "container/files.hpp"
#include "container/isolation.hpp"
#include "tests/netns/seal_clients.hpp"
#include "tests/support/doorway_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr const char* kAnywhere = "198.51.100.80";
const std::vector<std::string> kGateway{"gateway", "--policy",    "policy.toml", "--state",     "state",
                                        "--guard", "--exempt",    "user",        "--user",      "nobody",
                                        "--audit", "audit.jsonl", "--admin",     "admin/socket"};

/// Only root has a second user to run the gateway as; for others the rules are tested by SharedGround.
bool has_users() { return ::geteuid() == 0; }

/// Nothing of a client's connection gets out; `outside` would have refused it, which counts as having seen it.
void check_closed(const DoorwayGround& ground) {
    ground.outside->recorded();
    CHECK_FALSE(ground.connect_outside(kAnywhere, 80));
    CHECK(ground.outside->recorded().destinations().empty());
}

std::string failure(Running& process) {
    const auto text = process.read_all();
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
    CHECK_THROWS_WITH_AS(process.finish(), doctest::Contains("status 32000"), std::runtime_error);
    return text;
}

}  // namespace

TEST_CASE("shared gateway: serves as a user without privileges, and when it is killed all stays closed") {
    if (!has_users()) return;
    const DoorwayGround ground;
    if (!ground.outside) return;
    CHECK_FALSE(ground.connect_outside(kAnywhere, 80));
    CHECK(ground.outside->recorded().saw(80));  // unguarded, it went out

    const auto gateway = ground.start(kGateway);
    REQUIRE(line_with(*gateway, "serving") != "");
    const auto status = container::read_file("/proc/" + std::to_string(gateway->pid()) + "/status").value_or("");
    CHECK(status.find("Uid:\t65534\t65534\t65534\t65534") != status.npos);
    CHECK(status.find("CapEff:\t0000000000000000") != status.npos);
    CHECK(status.find("CapBnd:\t0000000000000000") != status.npos);
    CHECK(status.find("NoNewPrivs:\t1") != status.npos);

    WirePeer client(ground.connect_outside(kAnywhere, 80));
    client.send("GET / HTTP/1.1\r\nHost: denied.example\r\n\r\n");
    CHECK(client.read_message().substr(0, 12) == "HTTP/1.1 403");
    CHECK(ground.outside->recorded().destinations().empty());
    kill_hard(*gateway);
    check_closed(ground);
}

TEST_CASE("shared gateway: whatever is missing is one line, and the namespace is closed all the same") {
    if (!has_users()) return;
    const DoorwayGround ground(
        "[[allow]]\nhost = \"good.example\"\n[[secret]]\nname = \"key\"\nhost = \"good.example\"\n"
        "header = \"x-key\"\nvalue = { file = \"key\" }\n");
    if (!ground.outside) return;
    const auto folder = ground.directory();
    auto arguments = kGateway;
    SUBCASE("the policy is broken") {
        std::ofstream(folder / "policy.toml") << "[[allow]]\nhots = \"good.example\"\n";
        const auto text = ground.start(arguments)->read_all();
        CHECK(text.find("policy.toml:2:1: unknown key") != text.npos);
    }
    SUBCASE("the user is unknown") {
        arguments[9] = "no-such-user";
        CHECK(failure(*ground.start(arguments)).find("there is no user called no-such-user") != std::string::npos);
    }
    SUBCASE("the user is root") {
        arguments[9] = "root";
        CHECK(failure(*ground.start(arguments)).find("give it a user of its own") != std::string::npos);
    }
    SUBCASE("a port is in use") {
        const auto taken = ground.listen_in(-1, "127.0.0.1", 15001);
        CHECK(failure(*ground.start(arguments)).find("port 15001") != std::string::npos);
    }
    SUBCASE("the user cannot read a secret") {
        std::ofstream(folder / "key") << "value";
        std::filesystem::permissions(folder / "key", std::filesystem::perms(0600));
        const auto text = failure(*ground.start(arguments));
        CHECK(text.find("secret \"key\"") != text.npos);
        CHECK(text.find("user 65534") != text.npos);
    }
    SUBCASE("the user cannot read the policy again") {
        std::filesystem::permissions(folder / "policy.toml", std::filesystem::perms(0600));
        CHECK(failure(*ground.start(arguments)).find("must be readable for user 65534") != std::string::npos);
    }
    check_closed(ground);
}

TEST_CASE("guard: programs the rules again and again, and a mistake closes the namespace") {
    if (!has_users()) return;
    const DoorwayGround ground;
    if (!ground.outside) return;
    const std::vector<std::string> guard{"guard", "--user", "nobody", "--policy", "policy.toml"};
    for (int time = 0; time < 2; ++time) CHECK(ground.start(guard)->finish() == "");
    check_closed(ground);
    std::ofstream(ground.directory() / "policy.toml") << "[[publish]]\nport = 3000\nlisten = 8080\n";
    CHECK(failure(*ground.start(guard)).find("policy.toml:1: listen and port are one") != std::string::npos);
    check_closed(ground);
}

TEST_CASE("unguard: opens the namespace again, says so, does so twice; without the privilege the rules stay") {
    if (!has_users()) return;
    const DoorwayGround ground;
    if (!ground.outside) return;
    CHECK(ground.start({"guard", "--user", "nobody"})->finish() == "");
    const auto unprivileged = ground.outside->start(
        {{SALLYPORT_PROGRAM, "unguard"}, {}, "/", false, [] { container::give_up_privileges({}); }});
    CHECK(failure(*unprivileged).find("NET_ADMIN") != std::string::npos);
    check_closed(ground);
    for (int time = 0; time < 2; ++time)
        CHECK(ground.start({"unguard"})->finish() == "sallyport: this network namespace is not guarded any more\n");
    ground.outside->recorded();
    CHECK_FALSE(ground.connect_outside(kAnywhere, 80));
    CHECK(ground.outside->recorded().saw(80));
}
