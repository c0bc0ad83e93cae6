#include "gateway/session/live_rules.hpp"

namespace sallyport::session {

Passage::Passage(LiveRules& rules, net::Lifeline& lifeline, Objection objection)
    : lifeline_(lifeline), objection_(std::move(objection)) {
    rules.passages_.push_back(*this);
}

std::size_t LiveRules::replace(Rules rules) {
    current_ = std::make_shared<const Rules>(std::move(rules));
    std::size_t ended = 0;
    for (Passage& passage : passages_) {
        if (passage.lifeline_.ended()) continue;
        const auto why = passage.objection_(*current_);
        if (!why) continue;
        // Wakes its coroutine later, so nothing leaves the list while we walk through it.
        passage.lifeline_.end({ErrorKind::refused, "the policy has changed: " + *why});
        ++ended;
    }
    return ended;
}

void LiveRules::end_all(const Error& reason) {
    for (Passage& passage : passages_) passage.lifeline_.end(reason);
}

}  // namespace sallyport::session
