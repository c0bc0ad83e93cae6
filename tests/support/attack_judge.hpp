#pragma once
// What came of packet_attacks.hpp, from the program's output and the recorder's frames.

#include <set>
#include <string>

#include "tests/support/outside_recorder.hpp"

namespace sallyport::test {

/// Of the lines "sent NUMBER".
std::set<int> numbers_sent(const std::string& output);

/// Where nothing stands in the way every attack must have been made, and have arrived. Those that this kernel does not
/// offer are named. `privileged`: the program had CAP_NET_RAW.
void check_control(Outside& outside, const std::string& output, bool privileged);

/// Those that have not been recorded when a deadline has passed: a first packet waits for its neighbour.
std::set<int> missing(Outside& outside, std::set<int> numbers);

/// Waits until the storm (escape_packets_test.cpp) has done all it does that many times more.
void await_rounds(Running& storm, int count = 2);

}  // namespace sallyport::test
