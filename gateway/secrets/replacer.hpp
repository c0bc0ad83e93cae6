#pragma once
// Replaces patterns in a stream of bytes, across the borders of its pieces. Pure.
//
// What could be the beginning of a match is held back until that is decided; nothing else is. A match is the longest at
// the first place that has one, or else the longest near miss there, of which what agreed is replaced, up to where a
// match begins. With `may_go` > 0 so few bytes of a beginning are passed on all the same, so that a
// peer that waits for the last byte of a message does not wait for ever; should they turn out to be a match, what
// follows them is replaced.

#include <bitset>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "gateway/secrets/pattern_set.hpp"

namespace sallyport::secrets {

class Replacer {
public:
    using PatternSets = std::vector<std::shared_ptr<const PatternSet>>;
    explicit Replacer(PatternSets, std::size_t may_go = 0);

    /// Appends to `out` what may go.
    void put(std::string_view bytes, std::string& out);
    /// Nothing follows: appends the rest. Another text may be put in afterwards.
    void finish(std::string& out);
    /// A whole text; not while a stream is under way. False: nothing was found in it, and it is as it was.
    bool edit(std::string& text);

    /// How many bytes were not passed on yet.
    std::size_t held() const { return held_.size() - gone_; }
    /// Names of the secrets whose patterns were found or nearly so, ever.
    const std::set<std::string>& found() const { return found_; }

private:
    enum class Outcome { none, near, match, open };
    struct Match {
        Outcome outcome = Outcome::none;
        std::size_t length = 0;
        const Pattern* pattern = nullptr;
        std::string bytes = {};
        std::size_t last = 0;  ///< of a match: where its last byte begins
    };
    struct Miss {
        const PatternSet* set;
        const Pattern* pattern;
        std::size_t bytes;
    };
    void run(std::string_view text, bool last, std::string& out);
    Match next(std::string_view text, std::size_t& at, bool last);
    Match find(std::string_view text, std::size_t at, bool last);
    bool begins(std::string_view text, std::size_t at, bool last);
    Match match(const PatternSet&, const Pattern&, std::string_view text, std::size_t at, bool last);
    Match near_miss(const PatternSet&, const Pattern&, std::string bytes);
    void end_before_match(Match&, std::string_view text, std::size_t at, bool last);

    PatternSets sets_;
    const std::size_t may_go_;
    std::bitset<256> beginnings_;  ///< the bytes that anything may begin with
    std::string held_;
    std::size_t gone_ = 0;  ///< of `held_`: passed on already
    std::set<std::string> found_;
    using Places = boost::container::small_vector<std::size_t, 8>;
    Places places_, next_places_, ends_;  ///< of match(), which runs often
    std::vector<Miss> misses_;            ///< of find()
};

}  // namespace sallyport::secrets
