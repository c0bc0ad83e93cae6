#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "container/files.hpp"
#include "tests/netns/seal_clients.hpp"
#include "tests/support/doorway_ground.hpp"
#include "tests/support/netns_fixture.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr const char* kServes = "serving the sandbox";
constexpr const char* kAnywhere = "198.51.100.80";
constexpr const char* kRequest = "GET / HTTP/1.1\r\nHost: denied.example\r\n\r\n";

/// What a client in the namespace gets for a request that no rule allows; "" when it cannot connect or is cut off.
std::string ask(const DoorwayGround& ground, int network) {
    auto fd = ground.connect_in(network, kAnywhere, 80);
    if (!fd) return {};
    WirePeer client(std::move(fd));
    client.send(kRequest);
    return client.read_message().substr(0, 12);
}

std::string status_line(pid_t pid, const std::string& key) {
    const auto text = container::read_file("/proc/" + std::to_string(pid) + "/status").value_or("");
    const auto at = text.find("\n" + key + ":\t");
    if (at == text.npos) return {};
    const auto begin = at + key.size() + 3;
    return text.substr(begin, text.find('\n', begin) - begin);
}

void check_no_privilege(const Running& process) {
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
        CAPTURE(set);
        CHECK(status_line(process.pid(), set) == "0000000000000000");
    }
    CHECK(status_line(process.pid(), "NoNewPrivs") == "1");
}

}  // namespace

TEST_CASE("doorway: a gateway in another namespace serves the sealed one, both without any privilege") {
    const DoorwayGround ground;
    if (!ground.outside) return;
    const auto network = ground.new_network();
    const auto doorway = ground.doorway(network.get());
    const bool root = ::geteuid() == 0;  // the namespaces of other users know but one user
    const auto gateway =
        ground.gateway(root ? std::vector<std::string>{"--user", "nobody"} : std::vector<std::string>{});
    REQUIRE(line_with(*gateway, kServes) != "");
    CHECK(ask(ground, network.get()) == "HTTP/1.1 403");
    check_no_privilege(*doorway);
    check_no_privilege(*gateway);
    if (root) CHECK(status_line(gateway->pid(), "Uid") == "65534\t65534\t65534\t65534");
    if (root) CHECK(status_line(gateway->pid(), "Groups") == "65534 ");
    CHECK(ground.outside->recorded().destinations().empty());
}

TEST_CASE("doorway: clients wait while the gateway restarts, however it ended, and go on with the next one") {
    const DoorwayGround ground;
    if (!ground.outside) return;
    const auto network = ground.new_network();
    const auto doorway = ground.doorway(network.get());
    for (const int how : {SIGKILL, SIGTERM}) {
        CAPTURE(how);
        auto gateway = ground.gateway();
        REQUIRE(line_with(*gateway, kServes) != "");
        WirePeer cut(ground.connect_in(network.get(), kAnywhere, 80));
        CHECK(ask(ground, network.get()) == "HTTP/1.1 403");  // accepted after the other one
        ::kill(gateway->pid(), how);
        gateway->read_all();
        line_with(*doorway, "has gone");
        CHECK(cut.closed());

        WirePeer waiting(ground.connect_in(network.get(), kAnywhere, 80));  // connected, by the doorway's copy
        waiting.send(kRequest);
        CHECK(waiting.silent_for(50));
        gateway = ground.gateway();
        CHECK(waiting.read_message().substr(0, 12) == "HTTP/1.1 403");
        kill_hard(*gateway);
        line_with(*doorway, "has gone");
    }
    CHECK(ground.outside->recorded().destinations().empty());
}

TEST_CASE("doorway: of two gateways one serves, and the other when that one has ended") {
    const DoorwayGround ground;
    if (!ground.outside) return;
    const auto network = ground.new_network();
    const auto doorway = ground.doorway(network.get());
    const auto first = ground.gateway();
    REQUIRE(line_with(*first, kServes) != "");
    const auto second = ground.gateway({"--admin", "second.sock"});
    CHECK(line_with(*second, "waiting for the doorway").find("another gateway is connected") != std::string::npos);
    CHECK(ask(ground, network.get()) == "HTTP/1.1 403");
    kill_hard(*first);
    CHECK(line_with(*second, kServes) != "");
    CHECK(ask(ground, network.get()) == "HTTP/1.1 403");
}

TEST_CASE("doorway: when it is killed its namespace reaches nothing any more, and a new one is served") {
    const DoorwayGround ground;
    if (!ground.outside) return;
    const auto gateway = ground.gateway();
    CHECK(line_with(*gateway, "waiting for the doorway").find("has not started") != std::string::npos);
    const auto old_network = ground.new_network();
    const auto old_doorway = ground.doorway(old_network.get());
    REQUIRE(line_with(*gateway, kServes) != "");
    WirePeer cut(ground.connect_in(old_network.get(), kAnywhere, 80));
    CHECK(ask(ground, old_network.get()) == "HTTP/1.1 403");
    kill_hard(*old_doorway);
    REQUIRE(line_with(*gateway, "has gone") != "");
    CHECK(cut.closed());
    CHECK_FALSE(ground.connect_in(old_network.get(), kAnywhere, 80));

    const auto network = ground.new_network();
    const auto doorway = ground.doorway(network.get());
    REQUIRE(line_with(*gateway, kServes) != "");
    CHECK(ask(ground, network.get()) == "HTTP/1.1 403");
    CHECK_FALSE(ground.connect_in(old_network.get(), kAnywhere, 80));
    CHECK(ground.outside->recorded().destinations().empty());
}

TEST_CASE("doorway: ends in order, and its health says whether it lives") {
    const DoorwayGround ground;
    if (!ground.outside) return;
    const std::vector<std::string> health{"health", "--doorway", ground.socket()};
    CHECK_THROWS_WITH_AS(ground.start(health)->finish(), doctest::Contains("no doorway answers"), std::runtime_error);
    const auto network = ground.new_network();
    const auto doorway = ground.doorway(network.get());
    CHECK(ground.start(health)->finish() == ground.socket() + ": waiting for a gateway\n");
    const auto gateway = ground.gateway();
    REQUIRE(line_with(*gateway, kServes) != "");
    CHECK(ground.start(health)->finish() == ground.socket() + ": a gateway serves\n");
    CHECK(ask(ground, network.get()) == "HTTP/1.1 403");  // the check took nothing away
    ::kill(doorway->pid(), SIGTERM);
    CHECK_NOTHROW(doorway->finish());
    CHECK_THROWS_AS(ground.start(health)->finish(), std::runtime_error);
}

TEST_CASE("doorway: what is missing is one line, exit status 125, and opens nothing") {
    const DoorwayGround ground;
    if (!ground.outside) return;
    const auto fails = [&](Running& process) {
        const auto text = process.read_all();
        CHECK(std::count(text.begin(), text.end(), '\n') == 1);
        CHECK_THROWS_WITH_AS(process.finish(), doctest::Contains("status 32000"), std::runtime_error);
        return text;
    };
    const std::vector<std::string> command{"doorway", "--socket", ground.socket()};
    CHECK(fails(*ground.start(command)).find("network_mode: none") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(ground.socket()));

    const auto network = ground.new_network();
    const auto bad_folder = fails(*ground.start_in(network.get(), {"doorway", "--socket", "nowhere/socket"}));
    CHECK(bad_folder.find("nowhere, the folder of the doorway's socket") != std::string::npos);

    const auto first = ground.new_network(), second = ground.new_network();
    const auto living = ground.doorway(first.get());
    CHECK(fails(*ground.start_in(second.get(), command)).find("another doorway serves") != std::string::npos);

    CHECK(fails(*ground.gateway({"--user", "no-such-user"})).find("there is no user called no-such-user") !=
          std::string::npos);
    CHECK(fails(*ground.gateway({"--origin-ca", "nowhere.pem"})).find("--origin-ca nowhere.pem") != std::string::npos);
    CHECK_FALSE(ground.connect_in(network.get(), kAnywhere, 80));
}

TEST_CASE("publish: a connection from outside reaches what listens in the sandbox, and nothing goes the other way") {
    const DoorwayGround ground("[[publish]]\nport = 3000\nlisten = 13000\n");
    if (!ground.outside) return;
    const auto gateway = ground.gateway();
    line_with(*gateway, "waiting");
    CHECK(WirePeer(ground.connect_outside("127.0.0.1", 13000)).is_reset());  // there is no sandbox yet

    const auto network = ground.new_network();
    const auto doorway = ground.doorway(network.get());
    REQUIRE(line_with(*gateway, kServes) != "");
    CHECK(WirePeer(ground.connect_outside("127.0.0.1", 13000)).is_reset());  // nothing listens

    for (const char* address : {"127.0.0.1", "::1"}) {
        CAPTURE(address);
        const auto listener = ground.listen_in(network.get(), address, 3000);
        WirePeer client(ground.connect_outside(Outside::kAddress, 13000));
        REQUIRE(readable(listener.get()));
        WirePeer server(UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
        client.send("question");
        CHECK(server.read_exactly(8) == "question");
        server.send("answer");
        CHECK(client.read_exactly(6) == "answer");
        client.shutdown_write();
        CHECK(server.read_to_end() == "");
        server.send("last words");
        server.close();
        CHECK(client.read_to_end() == "last words");
    }
    // The gateway's own network, which holds services on these addresses, is not the sandbox's.
    CHECK(ask(ground, network.get()) == "HTTP/1.1 403");
    CHECK_FALSE(ground.connect_in(network.get(), "127.0.0.1", Outside::kServicePort));
    CHECK_FALSE(ground.connect_in(network.get(), "127.0.0.1", 13000));
    CHECK(ground.outside->visited().empty());

    ::kill(gateway->pid(), SIGTERM);
    gateway->finish();
    const auto log = ground.read("audit.jsonl");
    CHECK(log.find("\"rule\":\"policy.toml:1\",\"client\":\"203.0.113.1:") != log.npos);
    CHECK(log.find("\"protocol\":\"inbound\",\"bytes_out\":8,\"bytes_in\":16") != log.npos);
    CHECK(log.find("nothing in the sandbox listens there") != log.npos);
}

TEST_CASE("publish: a connection ends with the doorway, and a port that is taken is named") {
    const DoorwayGround ground("[[publish]]\nport = 3000\n");
    if (!ground.outside) return;
    const auto network = ground.new_network();
    const auto doorway = ground.doorway(network.get());
    const auto gateway = ground.gateway();
    REQUIRE(line_with(*gateway, kServes) != "");
    const auto listener = ground.listen_in(network.get(), "127.0.0.1", 3000);
    WirePeer client(ground.connect_outside("127.0.0.1", 3000));
    REQUIRE(readable(listener.get()));
    const WirePeer server(UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    kill_hard(*doorway);
    CHECK(client.closed());

    const auto second = ground.gateway()->read_all();
    CHECK(second.find("cannot listen on port 3000, published at policy.toml:1: Address already in use") !=
          std::string::npos);
}

TEST_CASE(
    "publish: the port at which the sandbox finds the explicit proxy is refused, since whoever came would get "
    "secrets") {
    const DoorwayGround ground("[[publish]]\nport = 15080\nlisten = 13000\n");
    if (!ground.outside) return;
    const auto said = ground.gateway()->read_all();
    CHECK(said.find("policy.toml:1: port 15080 is the gateway's own") != std::string::npos);
    CHECK_FALSE(ground.connect_outside("127.0.0.1", 13000));
}

TEST_CASE("gateway: a policy that changes is taken over, and whoever may ask is told how it stands") {
    const DoorwayGround ground;
    if (!ground.outside) return;
    const auto admin = [&](const std::string& what) {
        auto asked = ground.start({what, "--admin", "admin.sock"});
        return asked->read_all();
    };
    CHECK(admin("health").find("no gateway answers at admin.sock") != std::string::npos);
    const auto network = ground.new_network();
    auto doorway = ground.doorway(network.get());
    const auto gateway = ground.gateway();
    REQUIRE(line_with(*gateway, kServes) != "");
    CHECK(admin("health") == "serving\n");
    CHECK(admin("status").find(", sealed: serving\n") != std::string::npos);
    std::ofstream(ground.directory() / "policy.toml") << "[[alow]]\n";
    CHECK(admin("reload").find("policy.toml:1:") != std::string::npos);
    CHECK(admin("status").find("NOT what the file says now") != std::string::npos);
    std::ofstream(ground.directory() / "policy.toml") << "[[publish]]\nport = 3999\n";
    CHECK(admin("reload").find("counts after a restart") != std::string::npos);
    kill_hard(*doorway);
    CHECK(line_with(*gateway, "waiting for the doorway") != "");
    CHECK(admin("health").find("waiting for the doorway at ") == 0);
}
