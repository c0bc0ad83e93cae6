#pragma once
// What a text is searched for, prepared once for every text to come. Pure.

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/secrets/spelling.hpp"

namespace sallyport::secrets {

/// A sequence of bytes, each of them one of a set.
class Pattern {
public:
    virtual ~Pattern() = default;
    virtual std::size_t size() const = 0;  ///< at least 1
    virtual bool accepts(std::size_t place, unsigned char byte) const = 0;
    virtual Spellings spellings() const = 0;  ///< in which each byte may be written
    /// What stands for it instead; `bytes` are those that were accepted.
    virtual std::string replacement(std::string_view bytes) const = 0;
    /// For the audit log.
    virtual const std::string& secret() const = 0;
};

/// Immutable: shared by all who search for the same.
class PatternSet {
public:
    using Patterns = std::vector<std::unique_ptr<const Pattern>>;
    using Mask = std::uint8_t;  ///< a bit for each pattern
    static constexpr std::size_t kMost = 8;

    /// At most kMost patterns, whose sizes and bytes do not change from here on.
    explicit PatternSet(Patterns);

    /// The patterns that may stand at `at`, which is within the text; few of them do, and none does that is not named.
    Mask candidates(std::string_view text, std::size_t at) const {
        Mask mask = everything_;
        for (std::size_t i = 0; i < kLook && at < text.size() && mask != 0; ++i) {
            const auto byte = static_cast<unsigned char>(text[at]);
            if (begins_spelling_[byte]) return spelled(text, at, i, mask);
            mask &= may_stand_[i][byte];
            ++at;
        }
        return mask;
    }
    bool may_begin_with(unsigned char byte) const {
        return may_stand_[0][byte] != 0 || (begins_spelling_[byte] && !ends_line(byte));
    }
    const Pattern& operator[](std::size_t bit) const { return *patterns_[bit]; }

private:
    static constexpr std::size_t kLook = 4;  // bytes, before a pattern is asked

    Mask spelled(std::string_view text, std::size_t at, std::size_t i, Mask) const;

    Patterns patterns_;
    Mask everything_ = 0;
    Mask in_lines_ = 0;    ///< those that may go on behind the end of a line
    Spellings spellings_;  ///< of any of them
    std::array<std::array<Mask, 256>, kLook> may_stand_{};
    std::bitset<256> begins_spelling_;
};

}  // namespace sallyport::secrets
