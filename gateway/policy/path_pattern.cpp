#include <algorithm>
#include <array>

#include "gateway/policy/path.hpp"
#include "gateway/policy/uri_text.hpp"

namespace sallyport::policy {

namespace {

// Instructions of PathPattern::program_: bytes that no normalised path holds.
constexpr char kStar = '\x01';      // any run without "/"
constexpr char kDeep = '\x02';      // any run
constexpr char kOptSlash = '\x03';  // "/" and on to the kDeep that follows, or nothing and past it

constexpr bool same(char a, char b) { return a == b; }
constexpr bool same_ignoring_case(char a, char b) { return ascii_lower(a) == ascii_lower(b); }

const char* find_mistake(std::string_view text) {
    if (!text.starts_with('/')) return "a path starts with \"/\"";
    if (text.starts_with("//")) return "a path starts with one \"/\"";
    if (text.find_first_of("?#") != std::string_view::npos)
        return "a path holds no \"?\" or \"#\": queries have a key of their own, query = { name = \"value\" }";
    if (text.find("***") != std::string_view::npos) return "\"*\" and \"**\" are the wildcards, \"***\" is none";
    if (std::any_of(text.begin(), text.end(), is_control)) return "a path holds no control characters";
    if (!is_utf8(text)) return "a path is UTF-8";
    return nullptr;
}

/// True when a whole segment starts at `at`, and is "**".
bool is_globstar(std::string_view text, std::size_t at) {
    return text.substr(at).starts_with("**") && text[at - 1] == '/' && (at + 2 == text.size() || text[at + 2] == '/');
}

bool has_dot_segment(std::string_view path) {
    for (const std::string_view dots : {"/./", "/../"}) {
        if (path.find(dots) != std::string_view::npos || path.ends_with(dots.substr(0, dots.size() - 1))) return true;
    }
    return false;
}

template <class Equal>
bool glob(std::string_view pattern, std::string_view text, Equal equal) {
    std::size_t p = 0, t = 0, after_star = std::string_view::npos, star_end = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            after_star = ++p;
            star_end = t;
        } else if (p < pattern.size() && equal(pattern[p], text[t])) {
            ++p, ++t;
        } else if (after_star != std::string_view::npos) {
            p = after_star;
            t = ++star_end;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

}  // namespace

std::optional<PathPattern> PathPattern::parse(std::string_view text, std::string& error) {
    if (const char* mistake = find_mistake(text)) {
        error = mistake;
        return std::nullopt;
    }
    PathPattern pattern;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is_globstar(text, i)) {
            pattern.program_.back() = kOptSlash;  // the "/" before it belongs to it
            pattern.program_ += kDeep;
            pattern.text_ += "**";
            ++i;
        } else if (text[i] == '*') {
            const bool deep = text.substr(i).starts_with("**");
            pattern.program_ += deep ? kDeep : kStar;
            pattern.text_ += deep ? "**" : "*";
            if (deep) ++i;
        } else {
            const auto escaped = escape_at(text, i);
            if (text[i] == '%' && !escaped) {
                error = "a \"%\" in a path is followed by two hex digits: write \"%25\" for the character itself";
                return std::nullopt;
            }
            const auto byte = escaped.value_or(static_cast<unsigned char>(text[i]));
            const bool raw = escaped ? is_unreserved(byte) : is_path_char(byte);
            const std::size_t start = pattern.text_.size();
            if (raw) pattern.text_ += static_cast<char>(byte);
            else append_escape(pattern.text_, byte);
            pattern.program_ += escaped && byte == '*' ? "*" : pattern.text_.substr(start);
            if (escaped) i += 2;
        }
    }
    if (has_dot_segment(pattern.text_)) {
        error = "a path holds no \".\" or \"..\" segments: requests are compared after these are removed";
        return std::nullopt;
    }
    if (pattern.text_.size() > kMaxLength) {
        error = "a path has at most " + std::to_string(kMaxLength) + " characters";
        return std::nullopt;
    }
    const std::array wildcards{kStar, kDeep, kOptSlash};
    pattern.literal_prefix_ = static_cast<std::size_t>(
        std::find_first_of(pattern.program_.begin(), pattern.program_.end(), wildcards.begin(), wildcards.end()) -
        pattern.program_.begin());
    return pattern;
}

std::string PathPattern::literal(std::string_view path) {
    std::string out;
    for (const char c : path) out += c == '*' ? std::string("%2A") : std::string(1, c);
    return out;
}

// The program is run as a set of states, one a position: no backtracking, so no request can make it slow.
template <class Equal>
bool PathPattern::run(std::string_view path, Equal equal) const {
    if (path.size() < literal_prefix_ ||
        !std::equal(program_.begin(), program_.begin() + static_cast<std::ptrdiff_t>(literal_prefix_), path.begin(),
                    equal))
        return false;
    const std::string_view program = std::string_view(program_).substr(literal_prefix_);
    const std::string_view text = path.substr(literal_prefix_);
    if (program.empty()) return text.empty();

    std::array<std::array<bool, kMaxLength + 2>, 2> states;
    bool* here = states[0].data();
    bool* next = states[1].data();
    std::fill_n(here, program.size() + 1, false);
    here[0] = true;
    const auto skip_wildcards = [&program](bool* set) {
        for (std::size_t i = 0; i < program.size(); ++i) {
            if (!set[i]) continue;
            if (program[i] == kStar || program[i] == kDeep) set[i + 1] = true;
            if (program[i] == kOptSlash) set[i + 2] = true;
        }
    };
    skip_wildcards(here);
    for (const char c : text) {
        std::fill_n(next, program.size() + 1, false);
        bool any = false;
        for (std::size_t i = 0; i < program.size(); ++i) {
            if (!here[i]) continue;
            const bool stays = program[i] == kDeep || (program[i] == kStar && c != '/');
            const bool advances = program[i] == kOptSlash ? c == '/' : equal(program[i], c);
            if (stays) next[i] = true;
            if (advances) next[i + 1] = true;
            any = any || stays || advances;
        }
        if (!any) return false;
        std::swap(here, next);
        skip_wildcards(here);
    }
    return here[program.size()];
}

bool PathPattern::matches(std::string_view path) const { return run(path, same); }
bool PathPattern::matches_ignoring_case(std::string_view path) const { return run(path, same_ignoring_case); }

std::vector<std::pair<std::string, std::string>> query_pairs(std::string_view query, bool at_semicolons) {
    const auto decode = [](std::string_view text) {
        std::string out;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (const auto byte = escape_at(text, i)) {
                out += static_cast<char>(*byte);
                i += 2;
            } else {
                out += text[i] == '+' ? ' ' : text[i];
            }
        }
        return out;
    };
    std::vector<std::pair<std::string, std::string>> pairs;
    while (!query.empty()) {
        const std::size_t end = std::min(query.find_first_of(at_semicolons ? "&;" : "&"), query.size());
        const std::string_view pair = query.substr(0, end);
        const std::size_t equals = std::min(pair.find('='), pair.size());
        if (!pair.empty())
            pairs.emplace_back(decode(pair.substr(0, equals)), decode(pair.substr(std::min(equals + 1, pair.size()))));
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return pairs;
}

bool wildcard_match(std::string_view pattern, std::string_view text) { return glob(pattern, text, same); }

bool wildcard_match_ignoring_case(std::string_view pattern, std::string_view text) {
    return glob(pattern, text, same_ignoring_case);
}

}  // namespace sallyport::policy
