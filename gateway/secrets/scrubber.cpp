#include "gateway/secrets/scrubber.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstdint>
#include <new>

#include "gateway/base/startup_error.hpp"
#include "gateway/policy/uri_text.hpp"
#include "gateway/secrets/base64.hpp"

namespace sallyport::secrets {
namespace {

constexpr Spellings kAll{true, true, true, false, true};
constexpr Spellings kAllInLines{true, true, true, true, true};

/// The value is read where it lives: no copy of it, in any form, stays behind. What tells of it is in the same memory
/// as it is (PatternSet: how it begins), but for the bytes that its forms begin with, which each Replacer has.
class ValuePattern : public Pattern {
public:
    ValuePattern(const policy::SecretRule& rule, const SecretValue& value) : rule_(rule), value_(value) {}
    Spellings spellings() const override { return kAll; }
    std::size_t near() const override {
        const auto near = std::max(value().size() / 2, kMinNear);
        return near < value().size() ? near : kNever;
    }
    const std::string& secret() const override { return rule_.name; }

protected:
    std::string_view value() const { return value_.reveal(); }
    std::string stand_in() const { return rule_.placeholder.value_or("[secret " + rule_.name + "]"); }

private:
    const policy::SecretRule& rule_;
    const SecretValue& value_;
};

class Plain final : public ValuePattern {
public:
    using ValuePattern::ValuePattern;
    std::size_t size() const override { return value().size(); }
    bool accepts(std::size_t place, unsigned char byte) const override {
        return policy::ascii_lower(value()[place]) == policy::ascii_lower(static_cast<char>(byte));
    }
    std::string replacement(std::string_view) const override { return stand_in(); }
};

class Hexadecimal final : public ValuePattern {
public:
    using ValuePattern::ValuePattern;
    std::size_t size() const override { return size_of(value().size()); }
    std::size_t size_of(std::size_t bytes) const override { return 2 * bytes; }
    bool accepts(std::size_t place, unsigned char byte) const override {
        const auto whole = static_cast<unsigned char>(value()[place / 2]);
        return policy::hex_digit(static_cast<char>(byte)) == (place % 2 == 0 ? whole >> 4 : whole & 15);
    }
    std::string replacement(std::string_view) const override {
        constexpr std::string_view kHex = "0123456789abcdef";
        std::string out;
        for (const char c : stand_in()) {
            const auto byte = static_cast<unsigned char>(c);
            out += {kHex[byte >> 4], kHex[byte & 15]};
        }
        return out;
    }
};

/// The value behind `before` bytes of a group of three, in lines of any length (MIME has 76 characters). Its first and
/// last character may hold bits of what stands beside it: of those any will do, and they stay.
class Base64 final : public ValuePattern {
public:
    Base64(const policy::SecretRule& rule, const SecretValue& value, std::size_t before)
        : ValuePattern(rule, value), lead_(before * 8 % 6) {}

    Spellings spellings() const override { return kAllInLines; }
    std::size_t size() const override { return size_of(value().size()); }
    std::size_t size_of(std::size_t bytes) const override { return (lead_ + 8 * bytes + 5) / 6; }
    bool accepts(std::size_t place, unsigned char byte) const override {
        const unsigned digit = base64_digit(static_cast<char>(byte));
        if (digit == kNoBase64Digit) return false;
        for (std::size_t i = 0; i < 6; ++i) {
            const auto bit = 6 * place + i;
            if (bit < lead_ || bit >= bits()) continue;
            if ((digit >> (5 - i) & 1) != bit_of(value(), bit - lead_)) return false;
        }
        return true;
    }
    bool shares_last() const override { return bits() % 6 != 0; }
    std::string replacement(std::string_view bytes) const override {
        const auto whole = (6 * bytes.size() - lead_) / 8;
        auto text = stand_in();
        while (text.size() % 3 != whole % 3) text += '*';  // what follows keeps its place in the group
        const auto end = lead_ + 8 * text.size();
        const auto all = (end + 5) / 6 * 6;
        std::string out;
        for (std::size_t at = 0; at < all; at += 6) {
            unsigned digit = 0;
            for (std::size_t bit = at; bit < at + 6; ++bit) {
                unsigned value_of_it = 0;
                if (bit < lead_) value_of_it = base64_digit(bytes.front()) >> (5 - bit) & 1;
                else if (bit >= end) value_of_it = base64_digit(bytes.back()) >> (all - 1 - bit) & 1;
                else value_of_it = bit_of(text, bit - lead_);
                digit = digit << 1 | value_of_it;
            }
            out += base64_character(digit);
        }
        return out;
    }

private:
    static unsigned bit_of(std::string_view text, std::size_t bit) {
        return static_cast<unsigned char>(text[bit / 8]) >> (7 - bit % 8) & 1u;
    }
    std::size_t bits() const { return lead_ + 8 * value().size(); }

    const std::size_t lead_;  ///< bits of the first character that are not the value's
};

std::shared_ptr<const PatternSet> in_locked_memory(PatternSet::Patterns patterns) {
    void* const room = OPENSSL_secure_malloc(sizeof(PatternSet));
    if (!room) throw StartupError(kSecretsDoNotFit);
    return {new (room) const PatternSet(std::move(patterns)), [](const PatternSet* set) {
                set->~PatternSet();
                OPENSSL_secure_clear_free(const_cast<PatternSet*>(set), sizeof *set);
            }};
}

}  // namespace

std::shared_ptr<const PatternSet> forms_of(const policy::SecretRule& rule, const SecretValue& value) {
    PatternSet::Patterns patterns;
    patterns.push_back(std::make_unique<Plain>(rule, value));
    if (value.reveal().size() >= kMinEncoded) {
        patterns.push_back(std::make_unique<Hexadecimal>(rule, value));
        for (std::size_t before = 0; before < 3; ++before)
            patterns.push_back(std::make_unique<Base64>(rule, value, before));
    }
    return in_locked_memory(std::move(patterns));
}

Replacer scrubber(const std::vector<BoundSecret>& bound) {
    Replacer::PatternSets sets;
    std::size_t may_go = kMayGo;
    for (const auto& secret : bound) {
        may_go = std::min(may_go, secret.value.reveal().size() / 8);
        sets.push_back(secret.forms);
    }
    return Replacer(std::move(sets), may_go);
}

std::string guessed(const std::vector<BoundSecret>& bound) {
    for (const auto& secret : bound)
        if (secret.forms->guessed())
            return "somebody is guessing the value of secret " + secret.rule.name +
                   ": its responses are withheld until the policy is reloaded";
    return {};
}

}  // namespace sallyport::secrets
