#include "gateway/secrets/replacer.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace sallyport::secrets {

Replacer::Replacer(PatternSets sets, std::size_t may_go) : sets_(std::move(sets)), may_go_(may_go) {
    for (const auto& set : sets_)
        for (unsigned byte = 0; byte < 256; ++byte)
            if (set->may_begin_with(static_cast<unsigned char>(byte))) beginnings_.set(byte);
}

void Replacer::put(std::string_view bytes, std::string& out) {
    if (held_.empty()) {
        held_ = bytes.substr(run(bytes, false, out));
        return;
    }
    held_ += bytes;
    held_.erase(0, run(held_, false, out));
}

void Replacer::finish(std::string& out) {
    run(held_, true, out);
    held_.clear();
}

bool Replacer::edit(std::string& text) {
    std::size_t at = 0;
    if (next(text, at, true).outcome == Outcome::none) return false;
    std::string out;
    run(text, true, out);
    text = std::move(out);
    return true;
}

/// Returns where what is undecided begins.
std::size_t Replacer::run(std::string_view text, bool last, std::string& out) {
    std::size_t sent = std::exchange(gone_, 0);  // of the text, replaced or passed on
    const auto send_to = [&](std::size_t end) {
        if (end <= sent) return;
        out += text.substr(sent, end - sent);
        sent = end;
    };
    std::size_t at = 0;
    for (auto found = next(text, at, last); found.outcome == Outcome::match; found = next(text, at, last)) {
        send_to(at);
        out += found.pattern->replacement(found.bytes);
        found_.insert(found.pattern->secret());
        at += found.length;
        sent = at;
    }
    send_to(at);
    if (text.size() - at <= may_go_) send_to(text.size());
    gone_ = sent - at;
    return at;
}

/// Moves `at` to where something is, or may be once there is more text; to the end when there is nothing.
Replacer::Match Replacer::next(std::string_view text, std::size_t& at, bool last) {
    for (; at < text.size(); ++at) {
        if (!beginnings_[static_cast<unsigned char>(text[at])]) continue;
        if (auto found = find(text, at, last); found.outcome != Outcome::none) return found;
    }
    return {};
}

/// The longest, once nothing could become longer.
Replacer::Match Replacer::find(std::string_view text, std::size_t at, bool last) {
    Match longest;
    for (const auto& set : sets_)
        for (auto mask = set->candidates(text, at); mask != 0; mask &= static_cast<PatternSet::Mask>(mask - 1)) {
            auto found = match((*set)[static_cast<std::size_t>(std::countr_zero(mask))], text, at, last);
            if (found.outcome == Outcome::open) return found;
            if (found.outcome == Outcome::match && found.length > longest.length) longest = std::move(found);
        }
    return longest;
}

/// Byte by byte of the pattern, at all places of the text where it may be by then: "%25" is both a "%" and "%25".
Replacer::Match Replacer::match(const Pattern& pattern, std::string_view text, std::size_t at, bool last) {
    const auto spellings = pattern.spellings();
    std::string bytes;
    bool open = false;
    places_.assign(1, at);
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        next_places_.clear();
        for (auto place : places_) {
            if (i > 0 && spellings.lines) place += line_end(text, place, spellings);
            if (place == text.size()) {
                open = true;
                continue;
            }
            const auto read = readings(text, place, spellings);
            open = open || read.open;
            for (std::size_t r = 0; r < read.count; ++r) {
                if (!pattern.accepts(i, read.list[r].byte)) continue;
                const auto next = place + read.list[r].length;
                if (std::find(next_places_.begin(), next_places_.end(), next) == next_places_.end())
                    next_places_.push_back(next);
                bytes.resize(i);
                bytes += static_cast<char>(read.list[r].byte);
            }
        }
        std::swap(places_, next_places_);
        if (places_.empty()) return {open && !last ? Outcome::open : Outcome::none, 0, nullptr, {}};
    }
    const auto end = *std::max_element(places_.begin(), places_.end());
    return {Outcome::match, end - at, &pattern, std::move(bytes)};
}

}  // namespace sallyport::secrets
