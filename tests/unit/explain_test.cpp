#include "gateway/policy/explain.hpp"

#include <doctest/doctest.h>

#include "tests/support/policy_text.hpp"

using namespace sallyport::policy;

namespace {

constexpr const char* kText = R"(
[[allow]]
host   = "api.github.com"
method = "GET"

[[allow]]
host = "github.com"
port = 22

[[deny]]
host = "api.github.com"
path = "/gists/**"

[[allow]]
host    = "pinned.example"
tls     = "passthrough"
private = true

[[secret]]
name   = "github"
host   = "api.github.com"
header = "authorization"
format = "Bearer {}"
value  = { env = "GITHUB_TOKEN" }

[[secret]]
name        = "extra"
host        = "api.github.com"
placeholder = "placeholder-extra"
value       = { env = "EXTRA_VALUE" }

[[route]]
host = "api.github.com"
to   = "https://connector.internal:8443"
)";

std::string explained(std::string_view method, std::string_view url) {
    std::string error;
    const std::string text = explain(*policy_of(kText), method, url, error);
    CHECK(error.empty());
    return text;
}

std::string refused(std::string_view method, std::string_view url) {
    std::string error;
    CHECK(explain(*policy_of(kText), method, url, error).empty());
    return error;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_SUITE("explain") {
    TEST_CASE("an allowed request shows its rule, its route and its secrets by name") {
        CHECK(explained("", "https://api.github.com/repos/acme/x?a=b#frag") ==
              "allowed   sallyport.toml:2 allows GET /repos/acme/x?a=b on api.github.com:443\n"
              "route     https://connector.internal:8443 (sallyport.toml:32)\n"
              "secret    github (sallyport.toml:19), put into authorization\n"
              "secret    extra (sallyport.toml:26), in place of its placeholder\n");
    }

    TEST_CASE("a refused request shows what would allow it") {
        CHECK(explained("POST", "https://api.github.com/user") ==
              "denied    no rule allows POST /user on api.github.com:443\n"
              "to allow it, add:\n"
              "\n"
              "    [[allow]]\n"
              "    host   = \"api.github.com\"\n"
              "    method = \"POST\"\n"
              "    path   = \"/user\"\n");
    }

    TEST_CASE("where a deny rule decides, no allow rule is suggested") {
        const std::string text = explained("GET", "https://api.github.com/gists");
        CHECK(has(text, "denied    sallyport.toml:10 denies GET /gists"));
        CHECK(has(text, "change sallyport.toml:10"));
        CHECK(!has(text, "[[allow]]"));
        CHECK(!has(text, "secret"));
    }

    TEST_CASE("connections that are not looked into are told apart") {
        CHECK(explained("", "ssh://git@github.com/acme/x") ==
              "passed    sallyport.toml:6 allows a connection to github.com:22\n"
              "note      relayed untouched: methods and paths are not seen\n");
        const std::string pinned = explained("", "https://pinned.example/x");
        CHECK(has(pinned, "passed    sallyport.toml:14 passes TLS through untouched"));
        CHECK(has(pinned, "private address"));
        CHECK(has(explained("", "tcp://db.example:5432"), "port   = 5432"));
        CHECK(has(explained("", "tcp://[2001:db8::1]:5432"), "host   = \"2001:db8::1\""));
        CHECK(has(explained("", "http://pinned.example/"), "denied"));
    }

    TEST_CASE("a secret is never promised to a plaintext connection") {
        const auto policy = policy_of(
            "[[allow]]\nhost='a.example'\n[[secret]]\nname='s'\nhost='a.example'\nheader='x-a'\nvalue={env='VARIABLE'}"
            "\n");
        std::string error;
        CHECK(has(explain(*policy, "", "http://a.example/", error), "not put in: the connection is not encrypted"));
        CHECK(has(explain(*policy, "", "https://a.example/", error), "s (sallyport.toml:3), put into x-a"));
        CHECK(!has(explain(*policy, "", "https://a.example/", error), "VARIABLE"));
        // The route makes the way out encrypted, whatever the client speaks.
        CHECK(has(explained("", "http://api.github.com/user"), "github (sallyport.toml:19), put into authorization"));
    }

    TEST_CASE("a target without a single meaning is denied, with the reason") {
        CHECK(explained("", "https://api.github.com/a/..%2fb") ==
              "denied    the path hides a dot segment behind encoding or a path parameter\n");
    }

    TEST_CASE("a URL that makes no sense is an error that does not repeat it") {
        for (const char* url : {"api.github.com/x", "ftp://a.example", "https://", "https://a b/",
                                "https://u:hunter2@*/", "https://a.example:0/", "https://a.example:99999/",
                                "https://a.example:/", "tcp://a.example", "git@github.com:acme/x", ""}) {
            const std::string error = refused("", url);
            CHECK_MESSAGE(error.find("URL") != std::string::npos, url, ": ", error);
            CHECK(!has(error, "hunter2"));
        }
        CHECK(has(refused("GET", "ssh://github.com"), "method"));
        CHECK(has(refused("get", "https://github.com"), "upper case"));
        CHECK(!has(explained("", "https://user:hunter2@api.github.com/"), "hunter2"));
        CHECK(has(explained("", "https://API.github.com"), "GET / on api.github.com:443"));
        CHECK(has(explained("", "https://api.github.com?x=1"), "GET /?x=1 on"));
    }
}
