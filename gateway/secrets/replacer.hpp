#pragma once
// Replaces patterns in a stream of bytes, across the borders of its pieces. Pure.
//
// What could be the beginning of a match is held back until that is decided; nothing else is. A match is the longest at
// the first place that has one. With `may_go` > 0 so few bytes of a beginning are passed on all the same, so that a
// peer that waits for the last byte of a message does not wait for ever; should they turn out to be a match, what
// follows them is replaced.

#include <array>
#include <cstddef>
#include <memory>
#include <set>
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
using Patterns = std::vector<std::unique_ptr<const Pattern>>;

class Replacer {
public:
    explicit Replacer(Patterns, std::size_t may_go = 0);

    /// Appends to `out` what may go.
    void put(std::string_view bytes, std::string& out);
    /// Nothing follows: appends the rest. Another text may be put in afterwards.
    void finish(std::string& out);
    /// A whole text; not while a stream is under way.
    std::string replaced(std::string_view text);

    /// How many bytes were not passed on yet.
    std::size_t held() const { return held_.size() - gone_; }
    /// Names of the secrets whose patterns were found, ever.
    const std::set<std::string>& found() const { return found_; }

private:
    enum class Outcome { none, open, match };
    struct Match {
        Outcome outcome = Outcome::none;
        std::size_t length = 0;
        const Pattern* pattern = nullptr;
        std::string bytes;
    };
    std::size_t run(std::string_view text, bool last, std::string& out);
    Match find(std::string_view text, std::size_t at, bool last);
    Match match(const Pattern&, std::string_view text, std::size_t at, bool last);

    Patterns patterns_;
    const std::size_t may_go_;
    std::array<std::vector<const Pattern*>, 256> beginning_;  ///< what may begin with that byte
    std::string held_;
    std::size_t gone_ = 0;  ///< of `held_`: passed on already
    std::set<std::string> found_;
    std::vector<std::size_t> places_, next_places_;  ///< of match(), which runs often
};

}  // namespace sallyport::secrets
