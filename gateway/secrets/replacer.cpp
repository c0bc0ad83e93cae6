#include "gateway/secrets/replacer.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace sallyport::secrets {
namespace {

/// As wide as what it stands for: in UTF-16 and UTF-32 there are zeros between the bytes.
std::string widened(std::string text, std::string_view like) {
    const auto zeros = std::min(like.find_first_not_of('\0', 1), like.size()) - 1;
    if (zeros > 0)
        for (std::size_t at = text.size(); at-- > 1;) text.insert(at, zeros, '\0');
    return text;
}

}  // namespace

Replacer::Replacer(PatternSets sets, std::size_t may_go) : sets_(std::move(sets)), may_go_(may_go) {
    for (const auto& set : sets_) beginnings_ |= set->beginnings();
}

void Replacer::put(std::string_view bytes, std::string& out) {
    if (held_.empty()) return run(bytes, false, out);
    auto text = std::exchange(held_, {});
    text += bytes;
    run(text, false, out);
}

void Replacer::finish(std::string& out) { run(std::exchange(held_, {}), true, out); }

bool Replacer::edit(std::string& text) {
    std::size_t at = 0;
    if (next(text, at, true).outcome == Outcome::none) return false;
    std::string out;
    run(text, true, out);
    text = std::move(out);
    return true;
}

/// Holds what is undecided.
void Replacer::run(std::string_view text, bool last, std::string& out) {
    std::size_t sent = std::exchange(gone_, 0);  // of the text, replaced or passed on
    const auto send_to = [&](std::size_t end) {
        if (end <= sent) return;
        out += text.substr(sent, end - sent);
        sent = end;
    };
    std::string rest;
    std::size_t at = 0;
    for (auto found = next(text, at, last); found.length > 0; found = next(text, at, last)) {
        send_to(at);
        auto instead = widened(found.pattern->replacement(found.bytes), text.substr(at, found.length));
        found_.insert(found.pattern->secret());
        at += found.length;
        if (found.outcome == Outcome::match && found.pattern->shares_last() && begins(text, found.last, last)) {
            rest = instead.back() + std::string(text.substr(at));
            instead.pop_back();
            text = rest;
            at = 0;
        }
        out += instead;
        sent = at;
    }
    send_to(at);
    if (text.size() - at <= may_go_) send_to(text.size());
    gone_ = sent - at;
    held_.assign(text.substr(at));
}

/// Moves `at` to where something is, or may be once there is more text; to the end when there is nothing.
Replacer::Match Replacer::next(std::string_view text, std::size_t& at, bool last) {
    for (; at < text.size(); ++at) {
        if (!beginnings_[static_cast<unsigned char>(text[at])]) continue;
        auto found = find(text, at, last);
        if (found.outcome == Outcome::none) continue;
        if (found.outcome != Outcome::open)
            for (const auto& miss : misses_) miss.set->missed(*miss.pattern, miss.bytes);
        if (found.outcome == Outcome::near) end_before_match(found, text, at, last);
        return found;
    }
    return {};
}

/// The longest, once nothing could become longer; a near miss only where there is nothing else.
Replacer::Match Replacer::find(std::string_view text, std::size_t at, bool last) {
    Match best;
    misses_.clear();
    for (const auto& set : sets_)
        for (auto mask = set->candidates(text, at); mask != 0; mask &= static_cast<PatternSet::Mask>(mask - 1)) {
            auto found = match(*set, (*set)[static_cast<std::size_t>(std::countr_zero(mask))], text, at, last);
            if (found.outcome == Outcome::open) return found;
            if (std::pair(found.outcome, found.length) > std::pair(best.outcome, best.length)) best = std::move(found);
        }
    return best;
}

/// What agreed for a while may hold the beginning of the right one.
void Replacer::end_before_match(Match& near, std::string_view text, std::size_t at, bool last) {
    for (std::size_t inner = at + 1; inner < at + near.length; ++inner) {
        const auto outcome = find(text, inner, last).outcome;
        if (outcome == Outcome::open) near = {Outcome::open};
        else if (outcome == Outcome::match) near.length = inner - at;
    }
}

bool Replacer::begins(std::string_view text, std::size_t at, bool last) {
    return find(text, at, last).outcome != Outcome::none;
}

/// Byte by byte of the pattern, at all places of the text where it may be by then: "%25" is both a "%" and "%25".
Replacer::Match Replacer::match(const PatternSet& set, const Pattern& pattern, std::string_view text, std::size_t at,
                                bool last) {
    const auto spellings = pattern.spellings();
    std::string bytes;
    bool open = false;
    std::size_t begin = at, end = at;  // of the last byte that was accepted, as far on as it may be
    places_.assign(1, at);
    ends_.assign(1, at);
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        next_places_.clear();
        end = 0;
        for (auto place : places_) {
            if (i > 0) place += between(text, place, spellings);
            if (place == text.size()) {
                open = true;
                continue;
            }
            const auto read = readings(text, place, spellings);
            open = open || read.open;
            for (std::size_t r = 0; r < read.count; ++r) {
                if (!pattern.accepts(i, read.list[r].byte)) continue;
                const auto next = place + read.list[r].length;
                if (next > end) begin = place, end = next;
                if (std::find(next_places_.begin(), next_places_.end(), next) == next_places_.end())
                    next_places_.push_back(next);
                bytes.resize(i);
                bytes += static_cast<char>(read.list[r].byte);
            }
        }
        std::swap(places_, next_places_);
        if (places_.empty() && open && !last) return {Outcome::open};
        if (places_.empty()) return near_miss(set, pattern, std::move(bytes));
        ends_.push_back(end);
    }
    return {Outcome::match, end - at, &pattern, std::move(bytes), begin};
}

/// None, unless what was accepted is enough of it. Counted in whole bytes of what is looked for.
Replacer::Match Replacer::near_miss(const PatternSet& set, const Pattern& pattern, std::string bytes) {
    auto agreed = pattern.near();
    if (agreed == Pattern::kNever || bytes.size() < pattern.size_of(agreed)) return {};
    while (pattern.size_of(agreed + 1) <= bytes.size()) ++agreed;
    misses_.push_back({&set, &pattern, agreed});
    bytes.resize(pattern.size_of(agreed));
    return {Outcome::near, ends_[bytes.size()] - ends_.front(), &pattern, std::move(bytes)};
}

}  // namespace sallyport::secrets
