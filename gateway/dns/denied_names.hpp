#pragma once
// Keeps a client that asks for one refused name over and over from filling the audit log. Pure: time comes in.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "gateway/dns/answer.hpp"

namespace sallyport::dns {

/// Within each period a name is reported once, and at most kMaxNames names are; the rest are counted, and the count
/// is reported when the period is over, so that it shows that there were more.
class DeniedNames {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds kPeriod{60};
    static constexpr std::size_t kMaxNames = 1000;

    /// What to report now that `denied` was asked for: nothing, it, or it behind the last period's count.
    std::vector<DeniedName> note(DeniedName denied, Clock::time_point now);

private:
    Clock::time_point period_start_{};
    std::unordered_set<std::string> reported_;
    std::uint64_t unreported_ = 0;
};

}  // namespace sallyport::dns
