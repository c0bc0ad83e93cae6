// The doctor's word against what a recorder saw outside.
#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <set>
#include <string>

#include "container/isolation.hpp"
#include "container/shared.hpp"
#include "gateway/app/doctor.hpp"
#include "gateway/base/endpoint.hpp"
#include "tests/support/escape_ground.hpp"
#include "tests/support/guarded_run.hpp"
#include "tests/support/shared_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

TEST_CASE("attack: doctor" * doctest::skip()) {
    const int status = app::doctor();
    std::printf("status %d\n", status);
}

namespace {

constexpr uid_t kAppUser = 1000;

/// What the doctor says in a namespace with the rules of the shared form and a gateway that takes connections.
std::string examine(ToldApartBy how, NetRaw net_raw, uid_t uid) {
    const auto ground = SharedGround::create(how);
    if (!ground) return "";
    ground->inside([] { ::mount("none", "/run", "tmpfs", 0, nullptr); });  // this machine's own container engine
    REQUIRE(ground->guard() == "");
    const auto gateway = ground->socket(Who::gateway, AF_INET, SOCK_STREAM);
    sockaddr_storage at{};
    const auto size = Endpoint{IpAddress::v4({127, 0, 0, 1}), container::kInterceptPort}.to_sockaddr(at);
    REQUIRE(::bind(gateway.get(), reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(gateway.get(), 8) == 0);
    ground->outside->recorded();
    const auto output = ground->attack("doctor", net_raw, uid)->finish();
    const bool quiet = ground->outside->recorded().frames.empty();
    return output + (quiet ? "nothing left\n" : "something left\n");
}

bool says(const std::string& output, const std::string& text) { return output.find(text) != output.npos; }

}  // namespace

TEST_CASE("doctor: a process with nothing but an uplink hears so, and what was sent is harmless") {
    const std::set<std::string> harmless = {"tcp 192.0.2.1:9",
                                            "tcp [2001:db8:ffff::1]:9",
                                            "udp 192.0.2.1:9",
                                            "udp [2001:db8:ffff::1]:9",
                                            "ip protocol 136 to 192.0.2.1",
                                            "ip protocol 1 to 192.0.2.1",
                                            "ip protocol 58 to 2001:db8:ffff::1",
                                            "ethertype 0x88b5",
                                            "tcp 169.254.169.254:80",
                                            "udp 192.0.2.53:53",
                                            "udp 203.0.113.53:53"};
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const bool root = ::geteuid() == 0 && !nobody;
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        const auto output =
            ground.without_sallyport(EscapeGround::attack("doctor"), container::keep_default_capabilities)->finish();
        INFO(output);
        CHECK(says(output, "unguarded: no gateway answers, and these interfaces are up: up0\n"));
        CHECK(says(output, "NOT CONTAINED: these leave past any gateway: TCP, TCP over IPv6, UDP, UDP over IPv6"));
        CHECK(says(output, "DNS to 203.0.113.53"));
        CHECK(says(output, "ping over IPv6            leaves"));
        CHECK(says(output, "cap_drop: [NET_RAW]") == root);
        CHECK(says(output, "Ethernet frames           leaves") == root);
        CHECK(says(output, "status 1\n"));

        const auto sent = ground.outside->recorded().destinations();
        CHECK(sent.size() > 5);
        for (const auto& destination : sent) CHECK_MESSAGE(harmless.contains(destination), destination);
    }
}

TEST_CASE("doctor: in the sandbox of sallyport run everybody is contained, and nothing leaves") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        const auto output = ground.under_sallyport(EscapeGround::attack("doctor"))->finish();
        INFO(output);
        CHECK(says(output, "sealed: this network namespace has no interface but lo\n"));
        CHECK(says(output, "TCP                       ends in the gateway\n"));
        CHECK(says(output, "TCP over IPv6             ends in the gateway\n"));
        CHECK(says(output, "UDP                       refused at once\n"));
        CHECK(says(output, "DNS to any server         ends in the gateway\n"));
        CHECK(says(output, "DNS to 203.0.113.53       ends in the gateway\n"));
        CHECK_FALSE(says(output, "OPEN"));
        CHECK(says(output, "\ncontained\nstatus 0\n"));
        CHECK(ground.outside->recorded().destinations() == std::vector<std::string>());
    }
}

TEST_CASE("doctor: in the shared form an app without NET_RAW is contained, root or not") {
    for (const auto& [how, uid] : {std::pair{ToldApartBy::cgroup, uid_t{0}}, std::pair{ToldApartBy::cgroup, kAppUser},
                                   std::pair{ToldApartBy::user, kAppUser}}) {
        const auto output = examine(how, NetRaw::dropped, uid);
        if (output.empty()) return;
        INFO(output);
        CHECK(says(output, "shared: rules stand between this process and up0\n"));
        CHECK(says(output, "TCP                       ends in the gateway\n"));
        CHECK(says(output, "UDP                       refused at once\n"));
        CHECK_FALSE(says(output, "OPEN"));
        CHECK(says(output, "\ncontained\nstatus 0\nnothing left\n"));
    }
}

TEST_CASE("doctor: in the shared form NET_RAW is what keeps an app from being contained") {
    const auto output = examine(ToldApartBy::cgroup, NetRaw::kept, 0);
    if (output.empty()) return;
    INFO(output);
    CHECK(says(output, "raw IP packets            refused at once\n"));
    CHECK(says(output, "cap_drop: [NET_RAW] on the app\n"));
    CHECK(says(output, "\ncontained except: packet sockets, AF_XDP, SO_MARK\nstatus 1\nnothing left\n"));
}

TEST_CASE("doctor: a gateway known by its user, and an app that can become that user") {
    const auto output = examine(ToldApartBy::user, NetRaw::dropped, 0);
    if (output.empty()) return;
    INFO(output);
    CHECK(says(output, "as user 65532, packets leave"));
    CHECK(says(output, "\ncontained except: other users\nstatus 1\nsomething left\n"));
}

TEST_CASE("doctor: an app that runs as the gateway's user is not contained") {
    const auto output = examine(ToldApartBy::user, NetRaw::dropped, SharedGround::kGatewayUser);
    if (output.empty()) return;
    INFO(output);
    CHECK(says(output, "\nNOT CONTAINED"));
    CHECK(says(output, "status 1\n"));
}
