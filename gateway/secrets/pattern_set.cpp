#include "gateway/secrets/pattern_set.hpp"

#include <stdexcept>

namespace sallyport::secrets {
namespace {

bool begins(Spellings spellings, unsigned byte) {
    return (spellings.percent && (byte == '%' || byte == '+')) || (spellings.backslash && byte == '\\') ||
           (spellings.html && byte == '&');
}

}  // namespace

PatternSet::PatternSet(Patterns patterns) : patterns_(std::move(patterns)) {
    if (patterns_.size() > kMost) throw std::length_error("too many patterns for one set");
    for (std::size_t bit = 0; bit < patterns_.size(); ++bit) {
        const auto& pattern = *patterns_[bit];
        const auto mask = static_cast<Mask>(1u << bit);
        everything_ |= mask;
        for (unsigned byte = 0; byte < 256; ++byte) {
            const bool spelling = begins(pattern.spellings(), byte);
            if (spelling) begins_spelling_[byte] |= mask;
            for (std::size_t i = 0; i < kLook; ++i)
                if (spelling || i >= pattern.size() || pattern.accepts(i, static_cast<unsigned char>(byte)))
                    may_stand_[i][byte] |= mask;
        }
    }
}

}  // namespace sallyport::secrets
