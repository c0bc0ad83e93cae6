#include "gateway/secrets/scrubber.hpp"

#include <doctest/doctest.h>
#include <openssl/crypto.h>

#include "gateway/secrets/base64.hpp"
#include "tests/support/every_byte.hpp"
#include "tests/support/vault.hpp"

using namespace sallyport;
using namespace sallyport::secrets;
using test::every_byte;
using test::Vault;

namespace {

constexpr const char* kValue = R"(sk-Real/Key+with"quotes\&=%7e)";
constexpr const char* kPlaceholder = "sk-placeholder-1";

Vault vault_of(const std::string& value = kValue) {
    Vault vault;
    vault.bind("key", value).placeholder = kPlaceholder;
    return vault;
}

std::string in_pieces(const Vault& vault, const std::string& text, std::size_t size) {
    auto replacer = scrubber(vault.secrets.bound);
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += size) replacer.put(std::string_view(text).substr(at, size), out);
    replacer.finish(out);
    return out;
}

std::string at_once(const Vault& vault, const std::string& text) { return in_pieces(vault, text, text.size()); }

}  // namespace

TEST_CASE("scrubber: a value in each of its forms becomes the placeholder, and what is around it stays") {
    const auto vault = vault_of();
    const std::string value = kValue;
    const std::string forms[] = {
        value,
        percent_encoded(value),
        json_escaped(value),
        R"(sk-Real\/Key+with\"quotes\\\u0026=%7e)",
        "SK-REAL/key+WITH\"quotes\\&=%7E",
        R"(sk-Real/Key+with&quot;quotes\&amp;=%7e)",
        R"(sk-Real&#x2F;Key&#43;with&#034;quotes\&#38;=%7e)",
        every_byte(value, "%%%02x"),
        every_byte(value, "%%%02X"),
        every_byte(value, "\\u%04x"),
        every_byte(value, "\\x%02x"),
        every_byte(value, "&#%u;"),
        R"(sk-Real%2FKey%2bwith%22quotes%5C&amp;=%257e)",
    };
    for (const auto& form : forms) {
        CAPTURE(form);
        CHECK(at_once(vault, form) == kPlaceholder);
        CHECK(at_once(vault, "before " + form + " between " + form + ".") ==
              "before " + std::string(kPlaceholder) + " between " + kPlaceholder + ".");
    }
    CHECK(at_once(vault, every_byte(value, "%02x")) == every_byte(kPlaceholder, "%02x"));
    CHECK(at_once(vault, every_byte(value, "%02X")) == every_byte(kPlaceholder, "%02x"));
}

TEST_CASE("scrubber: a value that was escaped twice or three times over, as a URL in a URL's query and JSON in JSON") {
    const auto vault = vault_of();
    const std::string value = kValue;
    const auto html = [](const std::string& text) {
        std::string out;
        for (const char c : text) out += c == '"' ? "&quot;" : c == '&' ? "&amp;" : std::string(1, c);
        return out;
    };
    for (const auto& once : {percent_encoded(value), json_escaped(value), html(value), every_byte(value, "\\u%04x"),
                             every_byte(value, "&#%u;"), every_byte(value, "%%%02x")})
        for (const auto& twice : {percent_encoded(once), json_escaped(once), html(once)})
            for (const auto& form : {twice, percent_encoded(twice), json_escaped(twice)}) {
                CAPTURE(form);
                for (const std::size_t size : {std::size_t{1}, std::size_t{5}, form.size()}) {
                    const auto out = in_pieces(vault, "<" + form + "\">", size);
                    CHECK(out.ends_with(kPlaceholder + std::string("\">")));
                    CHECK(out.find("eal") == out.npos);
                    if (size == form.size()) CHECK(out == "<" + std::string(kPlaceholder) + "\">");
                }
            }
}

TEST_CASE("scrubber: a value in UTF-16 or UTF-32 becomes a placeholder in the same") {
    const auto vault = vault_of();
    for (const std::size_t width : {2, 4})
        for (const bool little : {true, false}) {
            const auto wide = [&](const std::string& text) {
                std::string out;
                for (const char c : text) {
                    const std::string zeros(width - 1, '\0');
                    out += little ? c + zeros : zeros + c;
                }
                return out;
            };
            CAPTURE(width);
            for (const std::string& value : {std::string(kValue), base64_encode(kValue)}) {
                const auto text = wide("it is " + value + ", really");
                for (const std::size_t size : {std::size_t{1}, std::size_t{7}, text.size()}) {
                    const auto out = in_pieces(vault, text, size);
                    CHECK(out.find(wide(value.substr(8, 8))) == out.npos);
                    CHECK(out.ends_with(wide(", really")));
                    if (size == text.size() && value == kValue)
                        CHECK(out == wide("it is " + std::string(kPlaceholder) + ", really"));
                }
            }
        }
}

TEST_CASE("scrubber: a value within Base64, wherever it begins and whatever it stands beside") {
    for (const std::string value : {"real-value-16byte", "real-value-1", "real-value-17-bytes"}) {
        const auto vault = vault_of(value);
        for (const std::string before : {"", "u", "us", "use", "user:", "x-access-token:", "\xff\xff"})
            for (const std::string after : {"", "1", "22", "\n", "\xff\xff\xff"}) {
                CAPTURE(before);
                auto text = base64_encode(before + value + after);
                auto padded = std::string(kPlaceholder);
                while (padded.size() % 3 != value.size() % 3) padded += '*';
                CHECK(at_once(vault, text) == base64_encode(before + padded + after));
                CHECK(at_once(vault, "Basic " + text + "\r\n") ==
                      "Basic " + base64_encode(before + padded + after) + "\r\n");
                for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;  // the URL-safe alphabet
                CHECK(base64_decode(at_once(vault, text)) == before + padded + after);
                CHECK(at_once(vault, percent_encoded(base64_encode(before + value + after)))
                          .find(text.substr((before.size() + 2) / 3 * 4, 8)) == std::string::npos);
            }
    }
}

TEST_CASE("scrubber: values within Base64 that follow one another, so that a character holds bits of two") {
    for (const std::string value : {"real-value-16byte", "real-value-1", "real-value-17-bytes"}) {
        const auto vault = vault_of(value);
        auto padded = std::string(kPlaceholder);
        while (padded.size() % 3 != value.size() % 3) padded += '*';
        for (const std::string before : {"", "u", "u:"})
            for (const std::string between : {"", ":", "\xff"}) {
                CAPTURE(value);
                CAPTURE(before);
                const auto text = base64_encode(before + value + between + value + between + value + " and on");
                const auto clean = before + padded + between + padded + between + padded + " and on";
                CHECK(base64_decode(at_once(vault, text)) == clean);
                for (const std::size_t size : {1, 5, 17}) {
                    const auto out = in_pieces(vault, text, size);
                    for (std::size_t shift = 0; shift < 3; ++shift) {
                        const auto part = base64_encode(std::string(shift, ' ') + value).substr(8, 8);
                        CHECK(out.find(part) == out.npos);
                    }
                }
            }
    }
}

TEST_CASE("scrubber: a value within Base64 that is cut into lines, of MIME, of JSON, of a form") {
    const auto vault = vault_of();
    auto padded = std::string(kPlaceholder);
    while (padded.size() % 3 != std::string(kValue).size() % 3) padded += '*';
    const std::string around(70, 'x');
    for (const std::string end : {"\n", "\r\n", "\\n", "\\r\\n", "%0A", "%0d%0a", "\\u000a", "&#10;"})
        for (const std::size_t columns : {1, 4, 7, 60, 76})
            for (const std::string before : {"", "u", "us", "user:", "some 100 bytes: "}) {
                CAPTURE(end);
                CAPTURE(columns);
                CAPTURE(before);
                std::string text = base64_encode(before + kValue + around), lines;
                for (std::size_t at = 0; at < text.size(); at += columns) lines += text.substr(at, columns) + end;
                const auto middle = text.substr((before.size() + 8) / 3 * 4, 8);
                for (const std::size_t size : {std::size_t{1}, std::size_t{7}, lines.size()}) {
                    auto out = in_pieces(vault, lines, size);
                    CHECK(out.ends_with(end));
                    for (std::size_t at; (at = out.find(end)) != out.npos;) out.erase(at, end.size());
                    CHECK(out.find(middle) == out.npos);
                    if (size == lines.size()) CHECK(out == base64_encode(before + padded + around));
                }
            }
}

TEST_CASE("scrubber: however the stream is cut, the value never comes out") {
    const auto vault = vault_of();
    const std::string value = kValue;
    for (const auto& form :
         {value, percent_encoded(value), every_byte(value, "\\u%04x"), base64_encode("me:" + value)}) {
        const std::string text = "s sk sk-Re " + form + " sk-sk-" + form + form + " sk-Real/Key";
        for (std::size_t size = 1; size <= text.size(); ++size) {
            CAPTURE(size);
            const auto out = in_pieces(vault, text, size);
            CHECK(out.find("eal/Key+") == std::string::npos);
            CHECK(out.find(form.substr(form.size() / 4, form.size() / 2)) == std::string::npos);
            CHECK(out.ends_with(" sk-Real/Key"));
            CHECK(out.starts_with("s sk sk-Re "));
        }
    }
}

TEST_CASE("scrubber: nothing is held back but what may be the beginning of a value, and not its first bytes") {
    const auto vault = vault_of();
    auto replacer = scrubber(vault.secrets.bound);
    std::string out;
    replacer.put("data: {\"x\": 1}\n\n", out);
    CHECK(out == "data: {\"x\": 1}\n\n");
    CHECK(replacer.held() == 0);
    replacer.put("sk-", out);  // a peer may wait for just this byte
    CHECK(out.ends_with("sk-"));
    replacer.put("R", out);
    CHECK(out.ends_with("sk-"));
    CHECK(replacer.held() == 1);
    replacer.put("ice", out);
    CHECK(out.ends_with("sk-Rice"));
    CHECK(replacer.held() == 0);
    replacer.put("sk-", out);
    replacer.put(std::string(kValue).substr(3), out);
    CHECK(out.ends_with(std::string("sk-Ricesk-") + kPlaceholder));
    CHECK(replacer.found() == std::set<std::string>{"key"});
}

TEST_CASE("scrubber: of a short value not even the first byte goes before it is known for one") {
    const auto vault = vault_of("s3cret!");
    CHECK(in_pieces(vault, "a s3cret! s3cret", 1) == std::string("a ") + kPlaceholder + " s3cret");
}

TEST_CASE("scrubber: one value that begins another, two values, and none without a placeholder") {
    Vault vault;
    vault.bind("short", "tok-abc");
    vault.bind("long", "tok-abc-and-more").placeholder = kPlaceholder;
    for (const std::size_t size : {1, 3, 100}) {
        CHECK(in_pieces(vault, "tok-abc-and-more", size) == kPlaceholder);
        CHECK(in_pieces(vault, "tok-abc-and-less", size) == "[secret short]-and-less");  // not nearly the other
        CHECK(in_pieces(vault, "<tok-abc>", size) == "<[secret short]>");
    }
}

TEST_CASE("scrubber: a long run of what begins a spelling costs no more than other text") {
    static std::size_t asked = 0;
    struct Counting final : Pattern {
        std::size_t size() const override { return 20; }
        bool accepts(std::size_t place, unsigned char byte) const override {
            ++asked;
            return byte == 'a' + place;
        }
        Spellings spellings() const override { return {true, true, true, false, true}; }
        std::string replacement(std::string_view) const override { return "-"; }
        const std::string& secret() const override { return name; }
        std::string name = "counting";
    };
    PatternSet::Patterns patterns;
    for (int i = 0; i < 5; ++i) patterns.push_back(std::make_unique<Counting>());
    Replacer replacer({std::make_shared<const PatternSet>(std::move(patterns))});
    for (const std::string run : {"&", "%", "\\", "+", "%25", "&amp;", "&#38;", "\\u0026", "\\n", "%2"}) {
        CAPTURE(run);
        std::string text, out;
        while (text.size() < 60'000) text += run;
        asked = 0;
        replacer.put(text, out);
        CHECK(asked < 100);
        replacer.finish(out);
        CHECK(out == text);
        out.clear();
        replacer.put(text + "%61b&#99;defghi\\u006aklmnopqrst", out);
        replacer.finish(out);
        CHECK(out == text + "-");
    }
}

TEST_CASE("scrubber: what tells how a value begins is in the memory of secrets") {
    CRYPTO_secure_malloc_init(1 << 22, 64);  // as the program does; a second time it does nothing
    const auto vault = vault_of();
    CHECK(CRYPTO_secure_allocated(vault.secrets.bound[0].forms.get()));
}

TEST_CASE("scrubber: what is a value for half of it and then differs is replaced as far as it agrees, in every form") {
    const auto vault = vault_of();  // of 29 bytes
    const std::string value = kValue, placeholder = kPlaceholder;
    for (const std::string rest : {" and on", "?", ""})
        for (const std::size_t size : {14, 15, 28}) {
            const auto part = value.substr(0, size);
            CAPTURE(part);
            CHECK(at_once(vault, "<" + part + rest) == "<" + placeholder + rest);
            CHECK(at_once(vault, "<" + percent_encoded(part) + rest) == "<" + placeholder + rest);
            CHECK(at_once(vault, "<" + every_byte(part, "%02x") + rest) ==
                  "<" + every_byte(kPlaceholder, "%02x") + rest);
            for (const std::string before : {"", "u", "us"}) {
                auto padded = placeholder;
                while (padded.size() % 3 != size % 3) padded += '*';
                const auto behind = static_cast<char>(value[size] ^ 1) + rest;  // a character may hold bits of both
                CHECK(base64_decode(at_once(vault, base64_encode(before + part + behind))) == before + padded + behind);
            }
            for (const std::size_t piece : {1, 5})
                CHECK(in_pieces(vault, "<" + part + rest, piece).ends_with(placeholder + rest));
        }
    for (const auto& text : {value.substr(0, 13) + " and on", value.substr(15), value.substr(1, 20)})
        CHECK(at_once(vault, text) == text);
    CHECK(at_once(vault_of("s3cret!!"), "s3cret!? s3cret!") == "s3cret!? s3cret!");  // too short to leave a trace
    CHECK(at_once(vault_of("s3cret!!+"), "s3cret!!- s3cret!!") == placeholder + "- " + placeholder);
}

TEST_CASE("scrubber: a value that begins within what is nearly one is found") {
    const auto vault = vault_of("abcabcabcabcabcabcX");
    for (const std::size_t size : {1, 4, 100}) {
        const auto out = in_pieces(vault,
                                   "abcabc"
                                   "abcabcabcabcabcabcX",
                                   size);
        CHECK(out.ends_with(std::string(kPlaceholder)));
        CHECK(out.find('X') == out.npos);
    }
    Vault two;
    two.bind("first", "token-of-somebody-0123456789").placeholder = "one";
    two.bind("second", "somebody-0123456-and-else").placeholder = "two";
    for (const std::size_t size : {1, 4, 100})
        CHECK(in_pieces(two, "token-of-somebody-0123456-and-else", size).ends_with("two"));
}

TEST_CASE(
    "scrubber: who guesses a value byte by byte is found out at the fifth place, one who shows its beginning is not") {
    const std::string value = kValue;
    const auto beginnings = [&](std::size_t first, std::size_t last) {
        std::string text;
        for (std::size_t size = first; size <= last; ++size) text += value.substr(0, size) + "\x80 ";
        return text;
    };
    {
        const auto vault = vault_of();
        for (int i = 0; i < 100; ++i) at_once(vault, beginnings(1, 14) + value.substr(0, 20) + "... " + value);
        CHECK(guessed(vault.secrets.bound).empty());
    }
    {
        const auto vault = vault_of();
        at_once(vault, beginnings(1, 17));
        CHECK(guessed(vault.secrets.bound).empty());
        // In whatever form, it is the same place.
        at_once(vault, every_byte(value.substr(0, 17), "%02x") + "8. " + base64_encode(value.substr(0, 16) + "\x80"));
        CHECK(guessed(vault.secrets.bound).empty());
        at_once(vault, base64_encode("us" + value.substr(0, 18) + static_cast<char>(value[18] ^ 1)));
        CHECK(guessed(vault.secrets.bound) ==
              "somebody is guessing the value of secret key: its responses are withheld until the policy is reloaded");
    }
    const auto vault = vault_of();
    for (const auto last : {14, 15, 16, 17}) in_pieces(vault, beginnings(13, last), 1);
    CHECK(guessed(vault.secrets.bound).empty());
    in_pieces(vault, beginnings(18, 18), 1);
    CHECK_FALSE(guessed(vault.secrets.bound).empty());

    std::string token;  // longer than there are places to tell apart
    for (int i = 0; token.size() < 300; ++i) token += std::to_string(i * 7919);
    const auto long_one = vault_of(token);
    for (std::size_t size = 250; size < 254; ++size) at_once(long_one, token.substr(0, size) + "!");
    CHECK(guessed(long_one.secrets.bound).empty());
    at_once(long_one, token.substr(0, 254) + "!");
    CHECK_FALSE(guessed(long_one.secrets.bound).empty());
}

TEST_CASE("scrubber: what is not a whole value stays as it is, byte for byte") {
    const auto vault = vault_of();
    std::string all;
    for (int i = 0; i < 70'000; ++i) all += static_cast<char>(i * 7919 >> 3);
    all += "% %2 %zz \\ \\u12 \\uZZ & &amp &# &#x; &#999999999; sk-Real/Key+w sk-";
    for (const std::size_t size : {1, 2, 3, 4096}) CHECK(in_pieces(vault, all, size) == all);
    CHECK(in_pieces({}, all, 7) == all);
}
