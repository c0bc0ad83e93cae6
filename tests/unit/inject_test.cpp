#include "gateway/secrets/inject.hpp"

#include <doctest/doctest.h>

#include <type_traits>

#include "gateway/secrets/base64.hpp"
#include "gateway/secrets/environment.hpp"
#include "tests/support/vault.hpp"

using namespace sallyport;
using namespace sallyport::secrets;
using test::Vault;
using wire::Fields;

namespace {

static_assert(!std::is_copy_constructible_v<SecretValue> && !std::is_copy_assignable_v<SecretValue>);

constexpr const char* kPlaceholder = "sk-placeholder-anthropic";
constexpr const char* kOther = "ghp-placeholder-github";

std::string all(const Fields& fields) {
    std::string out;
    for (const auto& field : fields) out += field.name + ": " + field.value + "\n";
    return out;
}

constexpr Destination kTls{"api.example.com", true, "/v1?x=1"};

std::vector<std::string> injected(const HostSecrets& secrets, Fields& fields, const Destination& to = kTls) {
    const auto result = inject(secrets, to, fields);
    REQUIRE(std::holds_alternative<Injected>(result));
    return std::get<Injected>(result).names;
}

/// The refusal, with what must hold for each: the request stays as it was.
InjectionRefused refused(const HostSecrets& secrets, Fields fields, const Destination& to = kTls) {
    const auto before = all(fields);
    const auto result = inject(secrets, to, fields);
    REQUIRE(std::holds_alternative<InjectionRefused>(result));
    CHECK(all(fields) == before);
    return std::get<InjectionRefused>(result);
}

}  // namespace

TEST_CASE("inject: a header is set, whatever the client sent under that name") {
    Vault vault;
    vault.bind("anthropic", "real-key").header = "x-api-key";
    Fields fields{{"Host", "api.example.com"}, {"X-API-Key", "mine"}, {"x-api-key", "mine too"}, {"accept", "*/*"}};
    CHECK(injected(vault.secrets, fields) == std::vector<std::string>{"anthropic"});
    CHECK(wire::count(fields, "x-api-key") == 1);
    CHECK(wire::find(fields, "x-api-key") == "real-key");
    CHECK(all(fields).find("mine") == std::string::npos);
    Fields none;
    injected(vault.secrets, none);
    CHECK(wire::find(none, "x-api-key") == "real-key");
}

TEST_CASE("inject: format and HTTP Basic") {
    Vault vault;
    auto& bearer = vault.bind("bearer", "t0ken");
    bearer.header = "Authorization";
    bearer.format = "Bearer {}";
    Fields fields{{"authorization", "Basic bWluZQ=="}};
    injected(vault.secrets, fields);
    CHECK(wire::find(fields, "authorization") == "Bearer t0ken");

    Vault basic;
    basic.bind("git", "t0ken").basic_user = "x-access-token";
    Fields git{{"authorization", "Bearer mine"}};
    injected(basic.secrets, git);
    CHECK(wire::find(git, "authorization") == "Basic " + base64_encode("x-access-token:t0ken"));
}

TEST_CASE("inject: beside a secret that is set the client's own credentials are removed, and nothing else of it") {
    Vault vault;
    vault.bind("anthropic", "real-key").header = "x-api-key";
    vault.bind("second", "t0ken").placeholder = kPlaceholder;
    Fields fields{{"Authorization", "Bearer mine"},
                  {"api-key", "mine"},
                  {"x_auth_token", "mine"},
                  {"Private-Token", "mine", true},  // a client may call it sensitive itself
                  {"X-Goog-Api-Key", std::string("a ") + kPlaceholder},
                  {"cookie", "session=1"},
                  {"accept", "*/*"},
                  {"x-api-key", "mine"}};
    CHECK(injected(vault.secrets, fields) == std::vector<std::string>{"anthropic", "second"});
    CHECK(all(fields) == "X-Goog-Api-Key: a t0ken\ncookie: session=1\naccept: */*\nx-api-key: real-key\n");

    Vault git;  // Basic with the placeholder, as git sends it: the value stands in it
    auto& github = git.bind("github", "real-key");
    github.header = "x-other";
    github.placeholder = kPlaceholder;
    Fields basic{{"authorization", "Basic " + base64_encode(std::string("u:") + kPlaceholder)}};
    injected(git.secrets, basic);
    CHECK(wire::find(basic, "authorization") == "Basic " + base64_encode("u:real-key"));

    Vault unset;  // whose secret is where the client puts its placeholder
    unset.bind("anthropic", "real-key").placeholder = kPlaceholder;
    Fields own{{"Authorization", "Bearer mine"}};
    injected(unset.secrets, own);
    CHECK(all(own) == "Authorization: Bearer mine\n");
}

TEST_CASE("inject: a placeholder is replaced in every value, but not in Host") {
    Vault vault;
    vault.bind("anthropic", "real-key").placeholder = kPlaceholder;
    Fields fields{{"authorization", std::string("Bearer ") + kPlaceholder},
                  {"cookie", std::string("a=") + kPlaceholder + "; b=" + kPlaceholder},
                  {"host", kPlaceholder}};
    CHECK(injected(vault.secrets, fields) == std::vector<std::string>{"anthropic"});
    CHECK(fields[0].value == "Bearer real-key");
    CHECK(fields[1].value == "a=real-key; b=real-key");
    CHECK(fields[2].value == kPlaceholder);
}

TEST_CASE("inject: a placeholder within Basic credentials is replaced") {
    Vault vault;
    vault.bind("git", "t0ken").placeholder = kPlaceholder;
    Fields fields{{"Authorization", "basic  " + base64_encode(std::string("user:") + kPlaceholder)}};
    CHECK(injected(vault.secrets, fields) == std::vector<std::string>{"git"});
    CHECK(fields[0].value == "Basic " + base64_encode("user:t0ken"));
}

TEST_CASE("inject: without a placeholder in the request nothing is used or changed") {
    Vault vault;
    vault.bind("anthropic", "real-key").placeholder = kPlaceholder;
    vault.foreign("github").placeholder = kOther;
    Fields fields{{"authorization", "Basic %%%"}, {"x", "y"}};
    const auto before = all(fields);
    CHECK(injected(vault.secrets, fields).empty());
    CHECK(all(fields) == before);
}

TEST_CASE("inject: a value that contains another placeholder is not expanded in turn") {
    Vault vault;
    vault.bind("first", std::string("has ") + kOther).placeholder = kPlaceholder;
    vault.bind("second", "SECOND").placeholder = kOther;
    Fields fields{{"x", kPlaceholder}};
    CHECK(injected(vault.secrets, fields) == std::vector<std::string>{"first"});
    CHECK(fields[0].value == std::string("has ") + kOther);
}

TEST_CASE("inject deny: a foreign placeholder, wherever and however it is written") {
    Vault vault;
    vault.bind("anthropic", "real-key").header = "x-api-key";
    vault.foreign("github").placeholder = kOther;
    const std::string percent = "ghp%2Dplaceholder-github", twice = "ghp%252dplaceholder-github";
    const std::string upper = "GHP-PLACEHOLDER-GITHUB";
    const Fields carriers[] = {
        {{"authorization", std::string("token ") + kOther}},
        {{kOther, "x"}},
        {{"x", percent}},
        {{"x", upper}},
        {{"cookie", twice}},
        {{"authorization", "Basic " + base64_encode(std::string("u:") + kOther)}},
        {{"Proxy-Authorization", "BASIC " + base64_encode("u:" + percent)}},
    };
    for (const auto& fields : carriers) {
        const auto refusal = refused(vault.secrets, fields);
        CHECK(refusal.alarm);
        CHECK(refusal.reason == "placeholder of secret github on its way to api.example.com");
    }
    for (const std::string& target : {std::string("/") + kOther, "/?q=" + percent, "/?q=" + twice, "/" + upper})
        CHECK(refused(vault.secrets, {}, {"api.example.com", true, target}).alarm);
}

TEST_CASE("inject deny: nothing goes out without TLS") {
    Vault header;
    header.bind("anthropic", "real-key").header = "x-api-key";
    const Destination plain{"api.example.com", false, "/"};
    const auto needed = refused(header.secrets, {{"a", "b"}}, plain);
    CHECK_FALSE(needed.alarm);
    CHECK(needed.reason.find("never sent without TLS") != std::string::npos);

    Vault placeholder;
    placeholder.bind("anthropic", "real-key").placeholder = kPlaceholder;
    CHECK(refused(placeholder.secrets, {{"x", kPlaceholder}}, plain).reason.find("without TLS") != std::string::npos);
    Fields innocent{{"x", "y"}};
    CHECK(injected(placeholder.secrets, innocent, plain).empty());
    CHECK(all(innocent) == "x: y\n");
}

TEST_CASE("inject: a refusal never holds a value") {
    Vault vault;
    vault.bind("anthropic", "real-key").placeholder = kPlaceholder;
    vault.foreign("github").placeholder = kOther;
    CHECK(refused(vault.secrets, {{"x", kOther}}).reason.find("real-key") == std::string::npos);
}

TEST_CASE("base64: both ways, and what is none") {
    for (const std::string text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"})
        CHECK(base64_decode(base64_encode(text)) == text);
    CHECK(base64_encode("fooba") == "Zm9vYmE=");
    CHECK(base64_encode("\xff\xfe\xfd") == "//79");
    CHECK(base64_decode("__79") == "\xff\xfe\xfd");
    CHECK(base64_decode("Zm9vYmE") == "fooba");
    CHECK_FALSE(base64_decode("Z"));
    CHECK_FALSE(base64_decode("Zm 9"));
    CHECK_FALSE(base64_decode("Zm=9"));
}

TEST_CASE("environment: secrets, their copies and proxies stay outside; all else goes in unchanged") {
    Vault vault;
    auto& anthropic = vault.bind("anthropic", "real-key-1234");
    anthropic.value.env = "ANTHROPIC_API_KEY";
    anthropic.placeholder = kPlaceholder;
    vault.bind("npm", "npm-key-5678").value.env = "NPM_TOKEN";
    vault.bind("short", "abc").value.file = "/run/short";
    const std::vector<std::string> environment{"PATH=/bin",
                                               "ANTHROPIC_API_KEY=real-key-1234",
                                               "NPM_TOKEN=npm-key-5678",
                                               "COPY=x real-key-1234 y",
                                               "HTTPS_PROXY=http://p",
                                               "no_proxy=*",
                                               "npm_config_https_proxy=http://p",
                                               "GOPROXY=direct",
                                               "EMPTY=",
                                               "ALPHABET=abcdef",
                                               "EXACT=abc",
                                               "broken",
                                               "PATH2=a=b"};
    CHECK(without_sources(environment, std::vector(vault.rules.begin(), vault.rules.end())) ==
          std::vector<std::string>{"PATH=/bin", "COPY=x real-key-1234 y", "HTTPS_PROXY=http://p", "no_proxy=*",
                                   "npm_config_https_proxy=http://p", "GOPROXY=direct", "EMPTY=", "ALPHABET=abcdef",
                                   "EXACT=abc", "broken", "PATH2=a=b",
                                   std::string("ANTHROPIC_API_KEY=") + kPlaceholder});
    std::vector<std::string> withheld;
    for (const auto& [variable, why] : to_withhold(environment, vault.secrets.bound))
        withheld.push_back(variable + ": " + why);
    CHECK(withheld == std::vector<std::string>{"COPY: contains secret anthropic", "HTTPS_PROXY: a proxy",
                                               "no_proxy: a proxy", "npm_config_https_proxy: a proxy",
                                               "EXACT: contains secret short"});
}
