#include <doctest/doctest.h>

#include "gateway/policy/decide.hpp"
#include "tests/support/policy_text.hpp"

using namespace sallyport::policy;

TEST_SUITE("describe") {
    TEST_CASE("a decision is described in one line, with the rule's position") {
        const auto policy = policy_of(kGithub);
        const Destination api{"api.github.com", 443};
        const auto said = [&](const char* method, const char* path) {
            const Target target = target_of(path);
            const RequestFacts facts{method, target};
            return describe(decide_request(*policy, api, facts), api, &facts);
        };
        CHECK(said("GET", "/repos/acme/x") == "sallyport.toml:2 allows GET /repos/acme/x on api.github.com:443");
        CHECK(said("POST", "/gists") == "no rule allows POST /gists on api.github.com:443");
        CHECK(said("GET", "/repos/acme/secret?a=b") ==
              "sallyport.toml:11 denies GET /repos/acme/secret?a=b on api.github.com:443");
        const auto stream = [&](Destination to) { return describe(decide_stream(*policy, to, false), to, nullptr); };
        CHECK(stream({"github.com", 22}) == "sallyport.toml:7 allows a connection to github.com:22");
        CHECK(stream({"evil.com", 22}) == "no rule names evil.com:22");
        CHECK(stream({"2001:db8::1", 22}) == "no rule names [2001:db8::1]:22");
        CHECK(stream({"api.github.com", 443}).starts_with("the deny rule at sallyport.toml:11 depends on the request"));
    }

    TEST_CASE("attack: what the client sent cannot break the line or flood it") {
        const auto policy = policy_of("");
        const Target target = target_of("/" + std::string(5000, 'a'));
        const RequestFacts facts{"GE\x1b[31mT\nfake log line", target};
        const std::string said =
            describe(decide_request(*policy, {"a.example", 443}, facts), {"a.example", 443}, &facts);
        CHECK(said.size() < 600);
        CHECK(said.find_first_of("\x1b\n") == std::string::npos);
    }

    TEST_CASE("the suggested rule allows the request, and not its neighbours") {
        const auto suggestion = [](const Destination& to, const char* method, const Target& target) {
            const RequestFacts facts{method, target};
            return suggest_rule(to, &facts, true);
        };
        CHECK(suggestion({"api.github.com", 443}, "POST", target_of("/gists")) ==
              "[[allow]]\nhost   = \"api.github.com\"\nmethod = \"POST\"\npath   = \"/gists\"\n");
        for (const char* text :
             {"/gists", "/a/*/b", "/**", "/@scope%2fname", "/a;b=c/d", "/a\"b\\c", "/%2525", "/", "/a?b=c"}) {
            const Target target = target_of(text);
            const auto policy = policy_of(suggestion({"h.example", 8443}, "GET", target));
            CHECK_MESSAGE(request(*policy, "h.example", "GET", text, 8443).allowed, text);
            for (const char* other : {"/a/x/b", "/a/*/b/c", "/x", "/@scope/other", "/@scope", "/a/dd"})
                CHECK_MESSAGE(!request(*policy, "h.example", "GET", other, 8443).allowed, text, " ", other);
            CHECK(!request(*policy, "h.example", "GET", text).allowed);
            CHECK(!request(*policy, "h.example", "POST", text, 8443).allowed);
        }
        CHECK(suggest_rule({"github.com", 22}, nullptr, false) == "[[allow]]\nhost   = \"github.com\"\nport   = 22\n");
        const auto passed = policy_of(suggest_rule({"github.com", 443}, nullptr, true));
        CHECK(decide_stream(*passed, {"github.com", 443}, true).allowed);
    }

    TEST_CASE("where no rule could allow it, the suggestion is a comment") {
        const Target target = target_of("/x");
        const RequestFacts lower_case{"get", target};
        const Target endless = target_of("/" + std::string(PathPattern::kMaxLength, 'a'));
        const RequestFacts too_long{"GET", endless};
        CHECK(suggest_rule({"a.example", 443}, &lower_case, true).starts_with("#"));
        CHECK(suggest_rule({"a.example", 443}, &too_long, true).starts_with("#"));
        CHECK(suggest_rule({"a.example", 443}, nullptr, false).starts_with("#"));
    }
}
