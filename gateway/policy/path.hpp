#pragma once
// The request target's path: normalised once, decided on and forwarded in that same form.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport::policy {

/// A path and query after normalisation (RFC 3986, section 6.2.2: unreserved characters decoded, hex in upper
/// case, dot segments removed; also "*" decoded, characters that RFC 3986 does not allow percent-encoded, and
/// leading slashes merged, since "//x" can be read as an authority). What is decided on is what is forwarded;
/// normalising it again changes nothing.
struct Target {
    std::string path;   ///< starts with "/"; or "*" for OPTIONS *
    std::string query;  ///< without "?"; unchanged, but for what RFC 3986 does not allow being percent-encoded
    bool has_query = false;
    /// The path as a more liberal origin might read it: unreserved characters, %2F, %5C and %3B decoded however
    /// often they are encoded, "\" as a separator, repeated slashes merged, path parameters (";...") cut. Equal to
    /// `path` for almost every request. An allow must hold for both readings; a deny holds when it matches either.
    std::string liberal_path;

    std::string to_string() const;  ///< path [ "?" query ]: the origin-form to forward
};

/// Longest request target that is accepted, in bytes.
inline constexpr std::size_t kMaxTarget = 16 * 1024;

/// nullopt when the target has no single meaning: control characters, NUL, bytes outside ASCII, invalid percent
/// escapes, a fragment; in the path also, at any depth of encoding, what is not UTF-8 (overlong forms), control
/// characters, dot segments, and more than kMaxDecodings layers. `why` then says so. In a query escapes other than
/// %00 are data: an escaped newline is what GraphQL clients send.
std::optional<Target> normalise_target(std::string_view origin_form, std::string& why);

/// "/repos/acme/**". "*" matches any run of characters within a segment, "**" across segments; a whole segment
/// "**" also matches none: "/repos/acme/**" holds for "/repos/acme" itself and all below it (as Ant, Spring and
/// micromatch have it, and as one expects of a deny rule), "/a/**/b" for "/a/b". Case-sensitive. A literal "*" is
/// written "%2A". The text is brought into the form of Target::path, so "/caf\u00e9" and "/a b" work as written.
/// Matching takes time proportional to path length times pattern length, whatever the wildcards.
class PathPattern {
public:
    static constexpr std::size_t kMaxLength = 2048;  ///< bytes, once normalised

    /// nullopt when the text is no pattern; `error` then says what was expected.
    static std::optional<PathPattern> parse(std::string_view text, std::string& error);
    /// The pattern's text that matches `path` (a Target's path) and nothing else.
    static std::string literal(std::string_view path);
    bool matches(std::string_view path) const;
    /// For deny rules: letter case is ignored, since some origins ignore it.
    bool matches_ignoring_case(std::string_view path) const;
    const std::string& text() const { return text_; }

private:
    template <class Equal>
    bool run(std::string_view path, Equal equal) const;

    std::string text_;
    std::string program_;             ///< text_ with its wildcards as one-byte instructions
    std::size_t literal_prefix_ = 0;  ///< bytes of program_ before the first wildcard
};

/// `key=value` pairs of a query string with percent escapes and "+" decoded. Some origins split at ";" as well:
/// `at_semicolons` gives their reading.
std::vector<std::pair<std::string, std::string>> query_pairs(std::string_view query, bool at_semicolons = false);
/// "*" in the pattern matches any run of characters; linear in practice, at worst pattern times text.
bool wildcard_match(std::string_view pattern, std::string_view text);
/// The same, with ASCII letters compared regardless of case.
bool wildcard_match_ignoring_case(std::string_view pattern, std::string_view text);

}  // namespace sallyport::policy
