#include <doctest/doctest.h>

#include "gateway/policy/path.hpp"

using namespace sallyport::policy;

namespace {

std::string refusal(std::string_view text) {
    std::string why;
    const auto target = normalise_target(text, why);
    return target ? "accepted as " + target->to_string() : why;
}

bool matches(std::string_view pattern, std::string_view path) {
    std::string error;
    const auto parsed = PathPattern::parse(pattern, error);
    INFO(std::string(pattern), " ", error);
    REQUIRE(parsed);
    return parsed->matches(path);
}

}  // namespace

TEST_SUITE("path") {
    TEST_CASE("what real clients send stays as it is") {
        for (const char* text : {
                 "/",
                 "/v1/messages?beta=true",
                 "/repos/acme/x/contents/a%20b.txt?ref=main",
                 "/acme/x.git/info/refs?service=git-upload-pack",
                 "/-/npm/v1/security/advisories/bulk",
                 "/@scope%2Fname",
                 "/@scope/name/-/name-1.0.0.tgz",
                 "/simple/typing-extensions/",
                 "/debian/pool/main/g/g++-12/g++-12_12.2.0-14+deb12u1_amd64.deb",
                 "/debian/pool/main/libs/libstdc++/x_1%3a2.0~rc1_all.deb",
                 "/a/b:c@d!e$f&g'h(i)*+,;=",
                 "/search?q=a+b%0Ac&x=%7B%22k%22%3A1%7D",
                 "/x?",
                 "/x?a?b/c",
                 "/%E2%82%AC",
                 "/100%25",
             }) {
            std::string why;
            const auto target = normalise_target(text, why);
            REQUIRE_MESSAGE(target, text, ": ", why);
            std::string expected = text;
            if (const auto at = expected.find("%3a"); at != std::string::npos) expected[at + 2] = 'A';
            CHECK(target->to_string() == expected);
        }
        CHECK(refusal("*") == "accepted as *");
    }

    TEST_CASE("equivalent spellings become one") {
        struct {
            const char* sent;
            const char* forwarded;
        } const cases[] = {
            {"/%61dmin", "/admin"},
            {"/%2d%2E%5f%7e", "/-._~"},
            {"/a/./b/../c", "/a/c"},
            {"/a/%2e%2e/b", "/b"},
            {"/a/.%2E/b", "/b"},
            {"/..", "/"},
            {"/../../etc/passwd", "/etc/passwd"},
            {"/a/..", "/"},
            {"/a/b/.", "/a/b/"},
            {"/a/b/..", "/a/"},
            {"//evil.example/x", "/evil.example/x"},
            {"///", "/"},
            {"/.//x", "/x"},
            {"/a/..//b", "/b"},
            {"/a//b", "/a//b"},
            {"/%c3%a9", "/%C3%A9"},
            {"/a|b[c]{d}^`\"<>", "/a%7Cb%5Bc%5D%7Bd%7D%5E%60%22%3C%3E"},
            {"/x?a=[1]|{2}^`\"<>\\", "/x?a=%5B1%5D%7C%7B2%7D%5E%60%22%3C%3E%5C"},
            {"/a\\b", "/a%5Cb"},
            {"/%2A", "/*"},
            {"/@scope%2fname", "/@scope%2Fname"},
            {"/...", "/..."},
            {"/.git/..x/x..", "/.git/..x/x.."},
            {"/x?../..", "/x?../.."},
        };
        for (const auto& c : cases) CHECK_MESSAGE(refusal(c.sent) == std::string("accepted as ") + c.forwarded, c.sent);
    }

    TEST_CASE("attack: what has no single meaning is refused, with the reason") {
        struct {
            std::string_view sent;
            const char* why;
        } const cases[] = {
            {"", "does not start"},
            {"x", "does not start"},
            {"?x", "does not start"},
            {"https://example.com/", "does not start"},
            {"/a b", "space"},
            {"/a\tb", "control"},
            {"/a\r\nHost: evil", "control"},
            {std::string_view("/a\0b", 4), "control"},
            {"/\x7f", "control"},
            {"/caf\xc3\xa9", "outside ASCII"},
            {"/x?caf\xc3\xa9", "outside ASCII"},
            {"/a#b", "fragment"},
            {"/x?a#b", "fragment"},
            {"/%", "invalid percent"},
            {"/%4", "invalid percent"},
            {"/%zz", "invalid percent"},
            {"/%u002e%u002e", "invalid percent"},
            {"/x?%", "invalid percent"},
            {"/x?%2", "invalid percent"},
            {"/x?a=%00", "NUL"},
            {"/%00", "control"},
            {"/a%0d%0ab", "control"},
            {"/a%250d%250ab", "control"},
            {"/a%25250ab", "control"},
            {"/%c0%ae%c0%ae/", "UTF-8"},
            {"/%e0%80%ae", "UTF-8"},
            {"/%25c0%25ae", "UTF-8"},
            {"/%ed%a0%80", "UTF-8"},
            {"/%f5%80%80%80", "UTF-8"},
            {"/%ff", "UTF-8"},
            {"/%c3", "UTF-8"},
            {"/%252e%252e/x", "dot segment"},
            {"/%25252e%25252e/x", "dot segment"},
            {"/a/..%2fb", "dot segment"},
            {"/a/..%2Fb", "dot segment"},
            {"/a/%2e%2e%2fb", "dot segment"},
            {"/a/..%252fb", "dot segment"},
            {"/a/..%5cb", "dot segment"},
            {"/a/..\\b", "dot segment"},
            {"/a%5c..%5cb", "dot segment"},
            {"/a%2f.%2fb", "dot segment"},
            {"/a/..;/b", "dot segment"},
            {"/a/..;x=y/b", "dot segment"},
            {"/a/..%3b/b", "dot segment"},
            {"/a/..%253bx/b", "dot segment"},
            {"/a/.;/b", "dot segment"},
            {"/a/..%20/b", "dot segment"},
            {"/a/..%3fx", "dot segment"},
            {"/a/..%23x", "dot segment"},
            {"/%25252525252541", "too many times"},
        };
        for (const auto& c : cases)
            CHECK_MESSAGE(refusal(c.sent).find(c.why) != std::string::npos, std::string(c.sent), ": ", refusal(c.sent));
        CHECK(refusal("/" + std::string(kMaxTarget, 'a')).find("too long") != std::string::npos);
        CHECK(refusal("/" + std::string(kMaxTarget - 1, 'a')).starts_with("accepted"));
    }

    TEST_CASE("the liberal reading is what a decoding origin might see") {
        struct {
            const char* sent;
            const char* liberal;
        } const cases[] = {
            {"/a/b", "/a/b"},
            {"/a%20b", "/a%20b"},
            {"/a%3Ab", "/a%3Ab"},
            {"/100%25", "/100%25"},
            {"/100%25zz", "/100%25zz"},
            {"/@scope%2fname", "/@scope/name"},
            {"/job/a%252Fb", "/job/a/b"},
            {"/a%5cb", "/a/b"},
            {"/a\\b", "/a/b"},
            {"/a//b///c", "/a/b/c"},
            {"/a/", "/a/"},
            {"/a//", "/a/"},
            {"/a;v=1/b;w", "/a/b"},
            {"/a%3bv/b", "/a/b"},
            {"/a/;x", "/a/"},
            {"/;x", "/"},
            {"/%2561dmin", "/admin"},
            {"/a%253ab", "/a%3Ab"},
        };
        for (const auto& c : cases) {
            std::string why;
            const auto target = normalise_target(c.sent, why);
            REQUIRE_MESSAGE(target, c.sent, ": ", why);
            CHECK_MESSAGE(target->liberal_path == c.liberal, c.sent);
        }
    }

    TEST_CASE("wildcards: one star stays in its segment, two cross, a segment of two may be empty") {
        struct {
            const char* pattern;
            const char* path;
            bool matches;
        } const cases[] = {
            {"/gists", "/gists", true},
            {"/gists", "/gists/", false},
            {"/gists", "/Gists", false},
            {"/gists", "/gistsx", false},
            {"/repos/*/issues", "/repos/a/issues", true},
            {"/repos/*/issues", "/repos/a/b/issues", false},
            {"/repos/*", "/repos/", true},
            {"/repos/*", "/repos/a/", false},
            {"/repos/acme/**", "/repos/acme", true},
            {"/repos/acme/**", "/repos/acme/", true},
            {"/repos/acme/**", "/repos/acme/x/y", true},
            {"/repos/acme/**", "/repos/acmes", false},
            {"/repos/acme/**", "/repos/acme-evil/x", false},
            {"/repos/acme/**", "/repos", false},
            {"/**", "/", true},
            {"/**", "/a/b", true},
            {"/a/**/z", "/a/z", true},
            {"/a/**/z", "/a/b/z", true},
            {"/a/**/z", "/a/b/c/z", true},
            {"/a/**/z", "/az", false},
            {"/a/**/z", "/a/bz", false},
            {"/a/**/z", "/a/z/y", false},
            {"/**/z", "/z", true},
            {"/**.js", "/a/b.js", true},
            {"/**.js", "/a/b.jsx", false},
            {"/a**", "/a", true},
            {"/a**", "/ab/c", true},
            {"/*.tgz", "/a.tgz", true},
            {"/*.tgz", "/a/b.tgz", false},
            {"/*/*/info/refs", "/acme/x.git/info/refs", true},
            {"/*/*/info/refs", "/acme/info/refs", false},
            {"/a*b*c", "/aXbYbZc", true},
            {"/a*b*c", "/ab/c", false},
            {"/**/a*b/**/c", "/x/aZb/a/ab/y/c", true},
            {"/**/a*b/**/c", "/x/aZ/b/y/c", false},
            {"/v%2A", "/v*", true},
            {"/v%2A", "/vx", false},
            {"/caf\xc3\xa9", "/caf%C3%A9", true},
            {"/a b", "/a%20b", true},
            {"/%61", "/a", true},
            {"/a%2fb", "/a%2Fb", true},
            {"/a%2fb", "/a/b", false},
            {"/*", "*", false},
        };
        for (const auto& c : cases) CHECK_MESSAGE(matches(c.pattern, c.path) == c.matches, c.pattern, " ", c.path);
    }

    TEST_CASE("what is no path pattern says what was expected") {
        struct {
            std::string_view pattern;
            const char* says;
        } const cases[] = {
            {"", "starts with"},     {"gists", "starts with"},    {"//x", "one \"/\""},    {"/x?a=b", "query = {"},
            {"/x#a", "query = {"},   {"/***", "\"***\" is none"}, {"/a\nb", "control"},    {"/%zz", "%25"},
            {"/a/../b", "segments"}, {"/a/.", "segments"},        {"/%2e%2e", "segments"}, {"/\xff", "UTF-8"},
            {"*", "starts with"},
        };
        for (const auto& c : cases) {
            std::string error;
            CHECK_MESSAGE(!PathPattern::parse(c.pattern, error), std::string(c.pattern));
            CHECK_MESSAGE(error.find(c.says) != std::string::npos, std::string(c.pattern), ": ", error);
        }
        std::string error;
        CHECK(!PathPattern::parse("/" + std::string(PathPattern::kMaxLength, 'a'), error));
        CHECK(PathPattern::parse("/" + std::string(PathPattern::kMaxLength - 1, 'a'), error));
    }

    TEST_CASE("a literal pattern matches its path only, wildcards or not") {
        for (const char* path : {"/a/*/b", "/**", "/a%2Fb", "/x"}) {
            std::string error;
            const auto pattern = PathPattern::parse(PathPattern::literal(path), error);
            REQUIRE(pattern);
            CHECK(pattern->matches(path));
            CHECK(!pattern->matches("/a/c/b"));
            CHECK(!pattern->matches("/other"));
        }
    }

    TEST_CASE("attack: no request makes a pattern slow") {  // one that went back would not return
        std::string pattern_text;
        for (int i = 0; i < 100; ++i) pattern_text += "/**/a*a";
        std::string error;
        const auto pattern = PathPattern::parse(pattern_text, error);
        REQUIRE(pattern);
        std::string path;
        while (path.size() < kMaxTarget - 4) path += "/aaa";
        CHECK(!pattern->matches(path + "b"));
        CHECK(pattern->matches(path + "a"));
    }

    TEST_CASE("query pairs are decoded, and split at semicolons for those who do") {
        using Pairs = std::vector<std::pair<std::string, std::string>>;
        CHECK(query_pairs("a=1&b=x+y%21&c&=v&&d=e=f") ==
              Pairs{{"a", "1"}, {"b", "x y!"}, {"c", ""}, {"", "v"}, {"d", "e=f"}});
        CHECK(query_pairs("a=1;b=2") == Pairs{{"a", "1;b=2"}});
        CHECK(query_pairs("a=1;b=2&c", true) == Pairs{{"a", "1"}, {"b", "2"}, {"c", ""}});
        CHECK(query_pairs("").empty());
    }

    TEST_CASE("a star in a query pattern is any run") {
        CHECK(wildcard_match("*", ""));
        CHECK(wildcard_match("a*c*e", "abcde"));
        CHECK(wildcard_match("a**", "a/b"));
        CHECK(!wildcard_match("a*c", "abcd"));
        CHECK(!wildcard_match("", "a"));
        CHECK(!wildcard_match("Git-*", "git-x"));
        CHECK(wildcard_match_ignoring_case("Git-*", "gIt-X"));
    }
}
