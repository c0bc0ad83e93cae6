#include "gateway/dns/denied_names.hpp"

#include <utility>

namespace sallyport::dns {

std::vector<DeniedName> DeniedNames::note(DeniedName denied, Clock::time_point now) {
    std::vector<DeniedName> reports;
    if (now - period_start_ >= kPeriod) {
        if (unreported_ > 0)
            reports.push_back(
                {"(other names)", 0, std::to_string(unreported_) + " questions for further names", denied.would_deny});
        period_start_ = now;
        reported_.clear();
        unreported_ = 0;
    }
    if (reported_.contains(denied.name)) return reports;
    if (reported_.size() >= kMaxNames) {
        ++unreported_;
        return reports;
    }
    reported_.insert(denied.name);
    reports.push_back(std::move(denied));
    return reports;
}

}  // namespace sallyport::dns
