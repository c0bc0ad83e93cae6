#include "tests/support/attack_judge.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>
#include <cstdlib>
#include <iostream>

#include "tests/support/packet_attacks.hpp"

namespace sallyport::test {

std::set<int> numbers_sent(const std::string& output) {
    std::set<int> numbers;
    for (std::size_t at = 0; (at = output.find("sent ", at)) != output.npos; ++at)
        numbers.insert(std::atoi(output.c_str() + at + 5));
    return numbers;
}

void check_control(Outside& outside, const std::string& output, bool privileged) {
    const auto sent = numbers_sent(output);
    const auto lost = missing(outside, sent);
    for (const auto& attack : packet_attacks()) {
        INFO(std::string(attack.name));
        if (sent.contains(attack.number)) {
            CHECK_FALSE(lost.contains(attack.number));
        } else if (privileged || !attack.needs_privilege) {
            CHECK(attack.standing != Standing::everywhere);
            std::cout << "skipped: " << attack.name << ": not offered by this kernel\n";
        }
    }
}

std::set<int> missing(Outside& outside, std::set<int> numbers) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!numbers.empty() && std::chrono::steady_clock::now() < deadline) {
        const auto recording = outside.recorded();
        std::erase_if(numbers, [&](int number) { return recording.saw(static_cast<std::uint8_t>(number)); });
        ::poll(nullptr, 0, 1);
    }
    return numbers;
}

void await_rounds(Running& storm, int count) {
    for (int round = 0; round < count; ++round)
        for (auto line = storm.read_line(); line != "round"; line = storm.read_line())
            REQUIRE(line != "");  // it has ended
}

}  // namespace sallyport::test
