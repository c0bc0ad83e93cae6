// Both sealed forms, attacked from within. What counts is what a recorder saw on the wire outside, and each attack is
// first shown to work without sallyport.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "tests/support/attack_judge.hpp"
#include "tests/support/doorway_ground.hpp"
#include "tests/support/escape_ground.hpp"
#include "tests/support/guarded_run.hpp"
#include "tests/support/netns_fixture.hpp"
#include "tests/support/packet_attacks.hpp"

using namespace sallyport::test;

TEST_CASE("attack: packets" * doctest::skip()) {
    for (const auto& attack : packet_attacks())
        if (attack.send()) std::printf("sent %d\n", attack.number);
    // A socket that somebody left open.
    for (int fd = 3; fd < 256; ++fd)
        if (::write(fd, marker(50).data(), 4) == 4) std::printf("sent 50\n");
}

TEST_CASE("attack: storm" * doctest::skip()) {
    while (true) {
        for (const auto& attack : packet_attacks()) attack.send();
        std::printf("round\n");
        std::fflush(nullptr);
    }
}

namespace {

/// As a careless caller would: not closed on exec.
void leave_a_socket_open() {
    const auto to = target4(50, 9);
    const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
    (void)!::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

}  // namespace

TEST_CASE("escape: packets of every kind leave without sallyport, and none with it") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const bool root = ::geteuid() == 0 && !nobody;
        const EscapeGround ground(nobody);
        if (!ground.outside) return;

        const auto attacked = ground.under_sallyport(EscapeGround::attack("packets"), leave_a_socket_open)->finish();
        INFO(attacked);
        CHECK(numbers_sent(attacked).contains(1));  // the program ran
        CHECK_FALSE(numbers_sent(attacked).contains(50));
        CHECK(ground.outside->recorded().destinations() == std::vector<std::string>());

        // Last: the kernel reports memberships a second time later.
        const auto control = ground.without_sallyport(EscapeGround::attack("packets"), leave_a_socket_open)->finish();
        check_control(*ground.outside, control, root);
        CHECK(numbers_sent(control).contains(50));
    }
}

// The strongest sandbox there is: root with Docker's capabilities and no filter of system calls, which leaves it AF_XDP
// and io_uring.
TEST_CASE("escape: packets of every kind leave without a doorway, and none where it has sealed, served or not") {
    if (::geteuid() != 0) return skip("Docker's root takes root");
    const DoorwayGround ground;
    if (!ground.outside) return;
    const auto network = ground.new_network();
    const auto doorway = ground.doorway(network.get());
    for (const bool served : {false, true}) {
        CAPTURE(served);
        const auto gateway = served ? ground.gateway() : nullptr;
        if (served) REQUIRE(line_with(*gateway, "serving the sandbox") != "");
        const auto attacked = ground.attack(network.get(), "packets", NetRaw::kept)->finish();
        INFO(attacked);
        CHECK(numbers_sent(attacked).contains(1));
        CHECK(numbers_sent(attacked).contains(37));  // on `lo` a frame is sent, whatever comes of it
        CHECK(ground.outside->recorded().destinations() == std::vector<std::string>());
    }
    check_control(*ground.outside, ground.attack(-1, "packets", NetRaw::kept)->finish(), true);
}
