#include "gateway/secrets/pattern_set.hpp"

#include <stdexcept>

namespace sallyport::secrets {
namespace {

bool begins(Spellings spellings, unsigned byte) {
    return (spellings.percent && (byte == '%' || byte == '+')) || (spellings.backslash && byte == '\\') ||
           (spellings.html && byte == '&') || stands_between(static_cast<unsigned char>(byte), spellings);
}

}  // namespace

PatternSet::PatternSet(Patterns patterns) : patterns_(std::move(patterns)) {
    if (patterns_.size() > kMost) throw std::length_error("too many patterns for one set");
    for (std::size_t bit = 0; bit < patterns_.size(); ++bit) {
        const auto& pattern = *patterns_[bit];
        const auto mask = static_cast<Mask>(1u << bit);
        everything_ |= mask;
        if (pattern.spellings().lines) in_lines_ |= mask;
        if (pattern.spellings().deep) deep_ |= mask;
        spellings_ = spellings_ | pattern.spellings();
        for (unsigned byte = 0; byte < 256; ++byte)
            for (std::size_t i = 0; i < kLook; ++i)
                if (i >= pattern.size() || pattern.accepts(i, static_cast<unsigned char>(byte)))
                    may_stand_[i][byte] |= mask;
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
        begins_spelling_[byte] = begins(spellings_, byte);
        const bool between = stands_between(static_cast<unsigned char>(byte), spellings_);
        beginnings_[byte] = may_stand_[0][byte] != 0 || (begins_spelling_[byte] && !between);
    }
}

/// What begins a spelling has one or is itself, as it is in a long run of "&". Only what is certain is looked behind.
PatternSet::Mask PatternSet::spelled(std::string_view text, std::size_t at, std::size_t i, Mask mask) const {
    const auto read = readings(text, at, spellings_);
    if (read.open) return mask;
    Mask any = 0;
    for (std::size_t r = 0; r < read.count; ++r) {
        any |= may_stand_[i][read.list[r].byte];
        if (i > 0 && ends_line(read.list[r].byte)) any |= in_lines_;
        if (i > 0 && read.list[r].byte == 0) any |= deep_;
    }
    return mask & any;
}

}  // namespace sallyport::secrets
