#pragma once
// The rules by which a packet of the sandbox is refused, and reported by class; the same in both forms.

#include <cstdint>
#include <string_view>
#include <vector>

#include "netfilter/statement.hpp"

namespace sallyport::netfilter {

/// Reports what `matches` as class `what` to that nflog group, then gives it `answer`, a Reject or a Verdict. Each
/// class has a limit of its own, so that a flood of one cannot hide the others.
void refuse(std::vector<Rule>& rules, std::string_view what, const Rule& matches, std::uint16_t group,
            Statement answer);

/// Refuses everything, in the classes tcp, quic, udp, icmp and other.
void refuse_all(std::vector<Rule>& rules, std::uint16_t group);

}  // namespace sallyport::netfilter
