// The real sallyport, attacked from within. What counts is what a recorder saw on the wire outside, and each attack is
// first shown to work without sallyport.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <set>
#include <string>

#include "tests/support/escape_ground.hpp"
#include "tests/support/guarded_run.hpp"
#include "tests/support/packet_attacks.hpp"

using namespace sallyport::test;

TEST_CASE("attack: packets" * doctest::skip()) {
    for (const auto& attack : packet_attacks())
        if (attack.send()) std::printf("sent %d\n", attack.number);
    // A socket that somebody left open.
    for (int fd = 3; fd < 256; ++fd)
        if (::write(fd, marker(50).data(), 4) == 4) std::printf("sent 50\n");
}

namespace {

/// As a careless caller would: not closed on exec.
void leave_a_socket_open() {
    const auto to = target4(50, 9);
    const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
    (void)!::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

std::set<int> numbers_sent(const std::string& output) {
    std::set<int> numbers;
    for (std::size_t at = 0; (at = output.find("sent ", at)) != output.npos; ++at)
        numbers.insert(std::atoi(output.c_str() + at + 5));
    return numbers;
}

}  // namespace

TEST_CASE("escape: packets of every kind leave without sallyport, and none with it") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const bool root = ::geteuid() == 0 && !nobody;
        const EscapeGround ground(nobody);
        if (!ground.outside) return;

        const auto control = ground.without_sallyport(EscapeGround::attack("packets"), leave_a_socket_open)->finish();
        const auto left = ground.outside->recorded();
        const auto sent = numbers_sent(control);
        for (const int number : sent) CHECK_MESSAGE(left.saw(static_cast<std::uint8_t>(number)), number);
        for (const auto& attack : packet_attacks()) {
            CAPTURE(attack.name);
            const bool optional = attack.number == 10 || attack.number == 11;  // kernels without MPTCP, UDP-Lite
            if (!optional && (!attack.needs_privilege || root)) CHECK(sent.contains(attack.number));
        }
        CHECK(sent.contains(50));

        const auto attacked = ground.under_sallyport(EscapeGround::attack("packets"), leave_a_socket_open)->finish();
        INFO(attacked);
        CHECK(numbers_sent(attacked).contains(1));  // the program ran
        CHECK_FALSE(numbers_sent(attacked).contains(50));
        CHECK(ground.outside->recorded().destinations() == std::vector<std::string>());
    }
}
