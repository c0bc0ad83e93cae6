// The doctor's word against what a recorder saw outside.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <set>
#include <string>

#include "container/isolation.hpp"
#include "gateway/app/doctor.hpp"
#include "tests/support/escape_ground.hpp"
#include "tests/support/guarded_run.hpp"

using namespace sallyport;
using namespace sallyport::test;

TEST_CASE("attack: doctor" * doctest::skip()) {
    const int status = app::doctor();
    std::printf("status %d\n", status);
}

namespace {

bool says(const std::string& output, const std::string& text) {
    return output.find(text) != output.npos;
}

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
