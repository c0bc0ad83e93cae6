#include "gateway/audit/suggest.hpp"

#include <doctest/doctest.h>

#include <random>
#include <sstream>

#include "gateway/audit/events.hpp"
#include "tests/support/policy_text.hpp"

using namespace sallyport;
using namespace sallyport::audit;

namespace {

RequestEvent would_deny(const std::string& host, const std::string& method, const std::string& path,
                        std::uint16_t port = 443) {
    RequestEvent event;
    event.host = host;
    event.port = port;
    event.method = method;
    event.path = path;
    event.decision = Decision::allow;
    event.would_deny = true;
    return event;
}

ConnectionEvent tcp(const std::string& host, std::uint16_t port) {
    ConnectionEvent event;
    event.host = host;
    event.port = port;
    event.protocol = "tcp";
    event.decision = Decision::allow;
    return event;
}

LogContent log_of(const std::vector<Event>& events) {
    std::string text;
    for (const auto& event : events) text += to_json(event);
    std::istringstream in(text);
    return read_log(in);
}

std::string suggested(const std::vector<Event>& events, std::string_view known = "") {
    return suggest(log_of(events), *policy::policy_of(known));
}

/// The rules alone.
std::string without_comments(const std::string& toml) {
    std::istringstream in(toml);
    std::string out;
    for (std::string line; std::getline(in, line);)
        if (!line.empty() && !line.starts_with('#')) out += line + "\n";
    return out;
}

bool holds(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("suggest: an empty log allows nothing") { CHECK(without_comments(suggested({})).empty()); }

TEST_CASE("suggest: requests of one kind share a rule, and methods that need the same paths do") {
    const auto toml =
        suggested({would_deny("api.test", "GET", "/issues/1"), would_deny("api.test", "GET", "/issues/2?page=1"),
                   would_deny("api.test", "HEAD", "/issues/3"), would_deny("api.test", "POST", "/graphql")});
    CHECK(without_comments(toml) ==
          "[[allow]]\nhost    = \"api.test\"\nmethod  = \"POST\"\npath    = \"/graphql\"\n"
          "[[allow]]\nhost    = \"api.test\"\nmethod  = [\"GET\", \"HEAD\"]\npath    = \"/issues/*\"\n");
    CHECK(holds(toml, "# 3 requests\n"));
    const auto policy = policy::policy_of(toml);
    CHECK(policy::request(*policy, "api.test", "GET", "/issues/77").allowed);
    CHECK_FALSE(policy::request(*policy, "api.test", "DELETE", "/issues/1").allowed);
    CHECK_FALSE(policy::request(*policy, "api.test", "POST", "/issues/1").allowed);
    CHECK_FALSE(policy::request(*policy, "www.test", "GET", "/issues/1").allowed);
}

TEST_CASE("suggest: other ports, other protocols and private addresses are named") {
    auto database = tcp("db.corp.test", 5432);
    database.would_deny = database.private_address = true;
    const auto toml = suggested({database, would_deny("api.test", "GET", "/", 8443)});
    CHECK(without_comments(toml) ==
          "[[allow]]\nhost    = \"api.test\"\nport    = 8443\nmethod  = \"GET\"\npath    = \"/\"\n"
          "[[allow]]\nhost    = \"db.corp.test\"\nport    = 5432\nprivate = true\n");
    CHECK(policy::decide_stream(*policy::policy_of(toml), {"db.corp.test", 5432}, false).allowed);
}

TEST_CASE("suggest: a preset stands in when it was needed, and not when it would allow much more") {
    std::vector<Event> reads, installs;
    for (const char* package : {"/left-pad", "/lodash", "/chalk"})
        reads.push_back(would_deny("any.npmjs.org", "GET", package));
    CHECK_FALSE(holds(suggested(reads), "use ="));  // nothing was posted: the preset would allow it
    installs = reads;
    installs.push_back(would_deny("any.npmjs.org", "POST", "/-/npm/v1/security/advisories/bulk"));
    const auto toml = suggested(installs);
    CHECK(without_comments(toml) == "use = [\n    \"npm-install\",   # 4 requests\n]\n");
}

TEST_CASE("suggest: what the policy in use allows is left out, and what it denies cannot be suggested") {
    const std::string known =
        "[[allow]]\nhost = \"api.test\"\npath = \"/known/**\"\n[[deny]]\nhost = \"api.test\"\npath = \"/never\"\n";
    const auto toml = suggested({would_deny("api.test", "GET", "/known/a"), would_deny("api.test", "GET", "/never"),
                                 would_deny("api.test", "GET", "/new")},
                                known);
    CHECK(without_comments(toml) == "[[allow]]\nhost    = \"api.test\"\nmethod  = \"GET\"\npath    = \"/new\"\n");
    CHECK(holds(toml, "/never: denied by sallyport.toml:4 (1)"));
}

TEST_CASE("suggest: metadata, alarms, refusals and names without a connection are comments only") {
    auto alarm = would_deny("evil.test", "GET", "/");
    alarm.decision = Decision::deny;
    alarm.alarm = "placeholder of secret key";
    auto refused = would_deny("gone.test", "GET", "/");
    refused.decision = Decision::deny;
    refused.reason = "why";
    NameEvent name;
    name.name = "lonely.test";
    name.would_deny = true;
    auto odd = would_deny("api.test", "get", "/");
    auto asked = tcp("asked.test", 443);  // by the gateway itself
    asked.protocol = "alpn";
    const auto toml =
        suggested({would_deny("169.254.169.254", "GET", "/latest/meta-data"), would_deny("127.0.0.1", "GET", "/"),
                   alarm, refused, name, odd, asked, tcp("api.test", 443)});
    CHECK(without_comments(toml).empty());
    for (const char* host : {"169.254.169.254: GET", "127.0.0.1: GET", "evil.test: ALARM", "gone.test: why",
                             "lonely.test", "api.test: get"})
        CHECK_MESSAGE(holds(toml, host), host);
    CHECK_FALSE(holds(toml, "asked.test"));
    policy::policy_of(toml);
}

TEST_CASE("suggest: a log that somebody else wrote yields nothing but what it may") {
    std::istringstream in(
        "not json\n[[[[\n{\"event\":\"request\"}\n\n{\"event\":7,\"host\":{}}\n"
        "{\"event\":\"request\",\"decision\":\"allow\",\"host\":\"a\\\"]\\n[[allow]]\\nhost=\\\"evil.test\",\"port\":"
        "443,\"method\":\"GET\",\"path\":\"/\"}\n"
        "{\"event\":\"request\",\"decision\":\"allow\",\"host\":\"a.test\",\"port\":443,\"method\":\"GET\",\"path\":\"/"
        "\\\"\\n[[allow]]\"}\n"
        "{\"event\":\"request\",\"decision\":\"allow\",\"host\":\"a.test\",\"port\":70000,\"method\":\"GET\",\"path\":"
        "\"/\"}\n"
        "{\"event\":\"request\",\"decision\":\"allow\",\"host\":\"a.test\",\"port\":443,\"method\":\"G\\nT\",\"path\":"
        "\"/\"}\n"
        "{\"event\":\"name\",\"name\":\"x\\n[[allow]]\\nhost=\\\"evil.test\\\"\",\"decision\":\"deny\"}\n"
        "{\"event\":\"request\",\"decision\":\"allow\",\"host\":\"a.test\",\"port\":443,\"method\":\"GET\",\"path\":\"/"
        "cut\",\"path_length\":9000}\n" +
        std::string(LogContent::kMaxLine + 10, '[') + "\n" +
        "{\"event\":\"request\",\"decision\":\"allow\",\"host\":\"good.test\",\"port\":443,\"method\":\"GET\",\"path\":"
        "\"/\"}");
    const auto content = read_log(in);
    CHECK(content.unreadable == 7);
    const auto toml = suggest(content, *policy::policy_of(""));
    CHECK(without_comments(toml) == "[[allow]]\nhost    = \"good.test\"\nmethod  = \"GET\"\npath    = \"/\"\n");
    CHECK(policy::policy_of(toml)->rules().size() == 1);
    CHECK(holds(toml, "# Left out: 7 lines"));
}

TEST_CASE("suggest: whatever was seen is allowed under what is suggested") {
    std::mt19937 random(11);
    const auto one_of = [&random](const std::vector<std::string>& texts) { return texts[random() % texts.size()]; };
    for (int round = 0; round < 100; ++round) {
        std::vector<Event> events;
        for (std::size_t n = 1 + random() % 40; n > 0; --n) {
            std::string path;
            for (std::size_t depth = 1 + random() % 5; depth > 0; --depth)
                path += "/" + one_of({"repos", "a%2Fb", "17", "x;y=1", "", "**", "%2525", "left-pad", "1.2.3",
                                      std::string(200, 'q')});
            const auto host = one_of({"api.github.com", "github.com", "any.npmjs.org", "any.debian.org", "10.1.2.3",
                                      "2001:db8::1", "a_b.test"});
            auto event = would_deny(host, one_of({"GET", "HEAD", "POST", "OPTIONS", "PROPFIND"}),
                                    random() % 20 == 0 ? "*" : path + (random() % 2 == 0 ? "?q=1" : ""),
                                    random() % 5 == 0 ? std::uint16_t{8443} : std::uint16_t{443});
            event.private_address = random() % 5 == 0;
            events.emplace_back(event);
            if (random() % 10 == 0) events.emplace_back(tcp(host, 2222));
        }
        const auto content = log_of(events);
        const auto toml = suggest(content, *policy::policy_of(""));
        CAPTURE(toml);
        const auto policy = policy::policy_of(toml);
        for (const auto& counted : content.seen) {
            const auto& seen = counted.first;
            CAPTURE(seen.host);
            CAPTURE(seen.target);
            std::string why;
            const auto target = policy::normalise_target(seen.target, why);
            if (seen.kind == Seen::Kind::request && !target) continue;
            const auto verdict = seen.kind == Seen::Kind::request
                                     ? policy::decide_request(*policy, {seen.host, seen.port}, {seen.method, *target})
                                     : policy::decide_stream(*policy, {seen.host, seen.port}, false);
            CHECK(verdict.allowed);
            CHECK(policy::resolution(*policy, seen.host) == policy::Resolution::yes);
            if (verdict.allowed && seen.private_address) CHECK(verdict.rule->private_addresses);
        }
    }
}
