#include "gateway/secrets/replacer.hpp"

#include <algorithm>
#include <utility>

namespace sallyport::secrets {

Replacer::Replacer(Patterns patterns, std::size_t may_go) : patterns_(std::move(patterns)), may_go_(may_go) {
    for (const auto& pattern : patterns_) {
        const auto spellings = pattern->spellings();
        for (unsigned byte = 0; byte < 256; ++byte) {
            const bool begins = pattern->accepts(0, static_cast<unsigned char>(byte)) ||
                                (spellings.percent && (byte == '%' || byte == '+')) ||
                                (spellings.backslash && byte == '\\') || (spellings.html && byte == '&');
            if (begins) beginning_[byte].push_back(pattern.get());
        }
    }
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

std::string Replacer::replaced(std::string_view text) {
    std::string out;
    run(text, true, out);
    return out;
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
    while (at < text.size()) {
        if (beginning_[static_cast<unsigned char>(text[at])].empty()) {
            ++at;
            continue;
        }
        const auto found = find(text, at, last);
        if (found.outcome == Outcome::open) break;
        if (found.outcome == Outcome::none) {
            ++at;
            continue;
        }
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

/// The longest, once nothing could become longer.
Replacer::Match Replacer::find(std::string_view text, std::size_t at, bool last) {
    Match longest;
    for (const auto* pattern : beginning_[static_cast<unsigned char>(text[at])]) {
        auto found = match(*pattern, text, at, last);
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
        for (const auto place : places_) {
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
