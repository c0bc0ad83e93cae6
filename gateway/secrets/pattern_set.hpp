#pragma once
// What a text is searched for, prepared once for every text to come. Pure.

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
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
    static constexpr std::size_t kNever = ~std::size_t{0};

    virtual ~Pattern() = default;
    virtual std::size_t size() const = 0;  ///< at least 1
    virtual bool accepts(std::size_t place, unsigned char byte) const = 0;
    virtual Spellings spellings() const = 0;  ///< in which each byte may be written
    /// A text that agrees with so many bytes of what is looked for, and then differs, is a near miss.
    virtual std::size_t near() const { return kNever; }
    /// How much of the pattern so many bytes of what is looked for are; all of them: size().
    virtual std::size_t size_of(std::size_t bytes) const { return bytes; }
    /// Its last byte holds bits of what follows too, which may be the same again.
    virtual bool shares_last() const { return false; }
    /// What stands for it instead, or for its beginning; `bytes` are those that were accepted.
    virtual std::string replacement(std::string_view bytes) const = 0;
    /// For the audit log.
    virtual const std::string& secret() const = 0;
};

/// Shared by all who search for the same. Immutable, but for the near misses, which it counts over all texts: who has a
/// text searched that he made up can tell from what comes out how much of it was right.
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
    /// The bytes that a candidate may begin with.
    const std::bitset<256>& beginnings() const { return beginnings_; }
    const Pattern& operator[](std::size_t bit) const { return *patterns_[bit]; }

    /// A text agreed with `bytes` of what is looked for, which are as many as pattern.near() or more, and then
    /// differed.
    void missed(const Pattern& pattern, std::size_t bytes) const {
        misses_ |= std::uint64_t{1} << (bytes - pattern.near()) % 64;
    }
    /// Texts differed at so many places that somebody goes from one to the next. An honest text may hold the beginning
    /// of a value, even often, but as long as it shows.
    bool guessed() const { return std::popcount(misses_.load()) >= kMostMisses; }

private:
    static constexpr std::size_t kLook = 4;  // bytes, before a pattern is asked
    static constexpr int kMostMisses = 5;

    Mask spelled(std::string_view text, std::size_t at, std::size_t i, Mask) const;

    Patterns patterns_;
    Mask everything_ = 0;
    Mask in_lines_ = 0;    ///< those that may go on behind the end of a line
    Mask deep_ = 0;        ///< those that may go on behind zeros
    Spellings spellings_;  ///< of any of them
    std::array<std::array<Mask, 256>, kLook> may_stand_{};
    std::bitset<256> begins_spelling_;
    std::bitset<256> beginnings_;
    /// A bit for each place behind near() where a text differed, modulo 64.
    mutable std::atomic<std::uint64_t> misses_{0};
};

}  // namespace sallyport::secrets
