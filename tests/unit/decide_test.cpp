#include "gateway/policy/decide.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>

#include "tests/support/policy_text.hpp"

using namespace sallyport::policy;

namespace {

struct Expected {
    const char* host;
    std::uint16_t port;
    const char* method;
    const char* target;
    Reason reason;
    std::uint32_t line;  // of the rule that decided; 0: none
};

void check_all(const Policy& policy, std::initializer_list<Expected> table) {
    for (const Expected& row : table) {
        const Verdict verdict = request(policy, row.host, row.method, row.target, row.port);
        INFO(row.method, " ", row.host, ":", row.port, row.target);
        CHECK(verdict.reason == row.reason);
        CHECK(verdict.allowed == (row.reason == Reason::allowed));
        CHECK((verdict.rule ? verdict.rule->where.line : 0) == row.line);
    }
}

}  // namespace

TEST_SUITE("decide") {
    TEST_CASE("an empty policy allows nothing and resolves nothing") {
        const auto policy = policy_of("");
        check_all(*policy, {{"example.com", 443, "GET", "/", Reason::no_rule, 0}});
        CHECK(decide_stream(*policy, {"example.com", 22}, false).reason == Reason::no_rule);
        CHECK(decide_stream(*policy, {"example.com", 443}, true).reason == Reason::no_rule);
        CHECK(resolution(*policy, "example.com") == Resolution::no);
        CHECK(!policy->has_allowed_descendant("com"));
    }

    TEST_CASE("a request needs host, port, method and path of one allow rule, and no deny rule") {
        check_all(*policy_of(kGithub),
                  {
                      {"api.github.com", 443, "GET", "/repos/acme/x", Reason::allowed, 2},
                      {"api.github.com", 80, "HEAD", "/repos/acme", Reason::allowed, 2},
                      {"api.github.com", 8443, "GET", "/repos/acme/x", Reason::no_rule, 0},
                      {"api.github.com", 443, "POST", "/repos/acme/x", Reason::no_rule_for_request, 0},
                      {"api.github.com", 443, "get", "/repos/acme/x", Reason::no_rule_for_request, 0},
                      {"api.github.com", 443, "GET", "/repos/other/x", Reason::no_rule_for_request, 0},
                      {"api.github.com", 443, "GET", "/REPOS/acme/x", Reason::no_rule_for_request, 0},
                      {"api.github.com", 443, "GET", "/repos/acme/../other", Reason::no_rule_for_request, 0},
                      {"api.github.com", 443, "OPTIONS", "*", Reason::no_rule_for_request, 0},
                      {"evil.com", 443, "GET", "/repos/acme/x", Reason::no_rule, 0},
                      {"api.github.com.evil.com", 443, "GET", "/repos/acme/x", Reason::no_rule, 0},
                      {"github.com", 443, "GET", "/", Reason::no_rule, 0},
                      {"api.github.com", 443, "GET", "/repos/acme/secret", Reason::denied_by_rule, 11},
                      {"api.github.com", 443, "GET", "/repos/acme/secret/x", Reason::denied_by_rule, 11},
                  });
    }

    TEST_CASE("attack: a deny rule holds against every spelling of its path") {
        const auto policy = policy_of(R"(
[[allow]]
host = "example.com"
[[deny]]
host = "example.com"
path = ["/gists", "/admin/**", "/exact/"]
[[deny]]
host   = "example.com"
method = "DELETE"
)");
        for (const char* target :
             {"/gists",     "/gists/",      "/GISTS",     "/%67ists",   "/./gists",  "/x/../gists",
              "//gists",    "/gists;x",     "/gists%3Bx", "/%2567ists", "/gists?x",  "/%2Fgists",
              "/%5Cgists",  "/;/gists",     "/admin",     "/Admin/x",   "/admin//x", "/x/..//admin/",
              "/admin%2Fx", "/admin%252Fx", "/admin\\x",  "/exact"})
            CHECK_MESSAGE(request(*policy, "example.com", "GET", target).reason == Reason::denied_by_rule, target);
        for (const char* target : {"/gistsx", "/x/gists", "/administrator", "/"})
            CHECK_MESSAGE(request(*policy, "example.com", "GET", target).reason == Reason::allowed, target);
        CHECK(request(*policy, "example.com", "delete", "/").reason == Reason::denied_by_rule);
        CHECK(request(*policy, "example.com", "DELETE", "/").reason == Reason::denied_by_rule);
    }

    TEST_CASE("attack: an allow must hold for both readings of a path") {
        const auto policy = policy_of(R"(
[[allow]]
host = "example.com"
path = "/public/*"
[[allow]]
host = "npm.example.com"
path = ["/@acme/*", "/@acme%2F*"]
)");
        CHECK(request(*policy, "example.com", "GET", "/public/x").allowed);
        for (const char* target :
             {"/public/a%2Fb", "/public/a%252Fb", "/public/a\\b", "/public%2Fx", "/private;/public/x"})
            CHECK_MESSAGE(!request(*policy, "example.com", "GET", target).allowed, target);
        CHECK(request(*policy, "npm.example.com", "GET", "/@acme%2fname").allowed);
        CHECK(request(*policy, "npm.example.com", "GET", "/@acme/name").allowed);
        CHECK(!request(*policy, "npm.example.com", "GET", "/@other%2fname").allowed);
        CHECK(!request(*policy, "npm.example.com", "GET", "/@acme%2fname%2fx").allowed);
    }

    TEST_CASE("a query key must be there once; a denied one nowhere") {
        const auto policy = policy_of(R"(
[[allow]]
host  = "github.com"
path  = "/*/*/info/refs"
query = { service = "git-upload-pack" }
[[allow]]
host = "deny.example.com"
[[deny]]
host  = "deny.example.com"
query = { service = "git-receive-*" }
)");
        const auto allowed = [&](const char* query) {
            return request(*policy, "github.com", "GET", std::string("/acme/x/info/refs") + query).allowed;
        };
        CHECK(allowed("?service=git-upload-pack"));
        CHECK(allowed("?service=git%2Dupload%2dpack"));
        CHECK(allowed("?x=1&service=git-upload-pack"));
        for (const char* query :
             {"", "?", "?service", "?service=", "?service=git-receive-pack", "?Service=git-upload-pack",
              "?service=git-upload-pack&service=git-receive-pack", "?service=git-receive-pack&service=git-upload-pack",
              "?service=git-upload-pack;service=git-receive-pack", "?x=1;service=git-upload-pack",
              "?service=git-upload-pack%20"})
            CHECK_MESSAGE(!allowed(query), query);

        const auto denied = [&](const char* query) {
            return request(*policy, "deny.example.com", "GET", std::string("/") + query).reason ==
                   Reason::denied_by_rule;
        };
        for (const char* query :
             {"?service=git-receive-pack", "?service=x&service=git-receive-pack", "?a;service=git-receive-pack",
              "?SERVICE=GIT-receive-pack", "?servic%65=git-receive-"})
            CHECK_MESSAGE(denied(query), query);
        CHECK(!denied("?service=git-upload-pack"));
        CHECK(!denied(""));
    }

    TEST_CASE("other protocols need a named port beside 80 and 443, and a rule that asks nothing of a request") {
        const auto policy = policy_of(R"(
[[allow]]
host = "db.example.com"
port = [443, 5432]
[[allow]]
host   = "api.example.com"
port   = 8443
method = "GET"
[[allow]]
host = "pinned.example.com"
port = 9000
tls  = "passthrough"
)");
        const auto stream = [&](const char* host, std::uint16_t port) {
            return decide_stream(*policy, {host, port}, false);
        };
        CHECK(stream("db.example.com", 5432).allowed);
        CHECK(stream("db.example.com", 443).reason == Reason::needs_request);
        CHECK(stream("db.example.com", 22).reason == Reason::no_rule);
        CHECK(stream("api.example.com", 8443).reason == Reason::needs_request);
        CHECK(stream("pinned.example.com", 9000).reason == Reason::needs_request);
        CHECK(stream("evil.com", 5432).reason == Reason::no_rule);
        CHECK(!decide_stream(*policy, {"db.example.com", 5432}, true).allowed);
        CHECK(decide_stream(*policy, {"pinned.example.com", 9000}, true).allowed);
    }

    TEST_CASE("TLS is passed through where a rule says so, unless a deny rule needs to see the request") {
        const auto policy = policy_of(R"(
[[allow]]
host = "*.example.com"
tls  = "passthrough"
[[allow]]
host = "both.example.com"
path = "/x"
[[deny]]
host = "watched.example.com"
path = "/admin/**"
[[deny]]
host = "gone.example.com"
)");
        const auto tls = [&](const char* host) { return decide_stream(*policy, {host, 443}, true); };
        CHECK(tls("a.example.com").allowed);
        CHECK(tls("both.example.com").allowed);
        CHECK(tls("watched.example.com").reason == Reason::needs_request);
        CHECK(tls("watched.example.com").rule->where.line == 8);
        CHECK(tls("gone.example.com").reason == Reason::denied_by_rule);
        CHECK(!decide_stream(*policy, {"a.example.com", 443}, false).allowed);
        CHECK(request(*policy, "a.example.com", "GET", "/").reason == Reason::no_rule);
        CHECK(request(*policy, "watched.example.com", "GET", "/").reason == Reason::no_rule);
        CHECK(request(*policy, "both.example.com", "GET", "/x").allowed);
    }

    TEST_CASE("a deny rule without a port speaks of every port, also of what hides the request") {
        const auto policy = policy_of(R"(
[[allow]]
host = ["github.com", "a.example.com", "b.example.com"]
port = [22, 443, 8443]
[[deny]]
host = "a.example.com"
[[deny]]
host = "b.example.com"
path = "/admin/**"
[[deny]]
host = "github.com"
port = 443
path = "/admin/**"
)");
        CHECK(decide_stream(*policy, {"a.example.com", 22}, false).reason == Reason::denied_by_rule);
        CHECK(decide_stream(*policy, {"b.example.com", 22}, false).reason == Reason::needs_request);
        CHECK(decide_stream(*policy, {"github.com", 22}, false).allowed);
        CHECK(request(*policy, "b.example.com", "GET", "/admin", 8443).reason == Reason::denied_by_rule);
        CHECK(request(*policy, "github.com", "GET", "/admin", 8443).allowed);
        CHECK(resolution(*policy, "a.example.com") == Resolution::no);
        CHECK(resolution(*policy, "b.example.com") == Resolution::yes);
    }

    TEST_CASE("before there is a request: a rule that some request may come under, and none where all are denied") {
        const auto policy = policy_of(R"(
[[allow]]
host = "*.example.com"
method = "GET"
[[allow]]
host = "in.example.com"
private = true
[[allow]]
host = "pinned.org"
tls = "passthrough"
[[deny]]
host = "all.example.com"
[[deny]]
host = "port.example.com"
port = 443
[[deny]]
host = "path.example.com"
path = "/admin/**"
)");
        const auto line = [&](const char* host, std::uint16_t port) -> std::uint32_t {
            const auto* rule = rule_for_some_request(*policy, {host, port});
            return rule ? rule->where.line : 0;
        };
        CHECK(line("a.example.com", 443) == 2);
        CHECK(line("in.example.com", 443) == 5);
        CHECK(line("path.example.com", 443) == 2);
        CHECK(line("port.example.com", 80) == 2);
        CHECK(line("port.example.com", 443) == 0);
        CHECK(line("a.example.com", 22) == 0);
        for (const char* host : {"all.example.com", "pinned.org", "elsewhere.org"}) CHECK(line(host, 443) == 0);
    }

    TEST_CASE("a name resolves when an allow rule names it, and its ancestors are known") {
        const auto policy = policy_of(R"(
[[allow]]
host = ["*.example.com", "api.github.com", "10.0.0.0/8"]
[[deny]]
host = "x.denied.org"
)");
        CHECK(resolution(*policy, "a.b.example.com") == Resolution::yes);
        CHECK(resolution(*policy, "api.github.com") == Resolution::yes);
        CHECK(resolution(*policy, "example.com") == Resolution::no);
        CHECK(resolution(*policy, "github.com") == Resolution::no);
        CHECK(resolution(*policy, "data.api.github.com") == Resolution::no);
        for (const char* name : {"example.com", "com", "github.com"}) CHECK(policy->has_allowed_descendant(name));
        for (const char* name : {"api.github.com", "org", "denied.org", "a.example.com"})
            CHECK(!policy->has_allowed_descendant(name));
    }

    TEST_CASE("addresses are matched by address and network rules only") {
        const auto policy = policy_of(R"(
[[allow]]
host = ["192.0.2.1", "10.0.0.0/8", "2001:db8::/32", "*.example.com"]
port = 443
)");
        for (const char* host : {"192.0.2.1", "10.9.8.7", "2001:db8::5"})
            CHECK(request(*policy, host, "GET", "/").allowed);
        for (const char* host : {"192.0.2.2", "11.0.0.1", "2001:db9::5"})
            CHECK(!request(*policy, host, "GET", "/").allowed);
    }

    TEST_CASE("audit mode lets through what it would deny, with the reason and the rule of the denial") {
        const auto loaded = load(kGithub, "sallyport.toml", Mode::audit);
        const auto policy = std::get<std::shared_ptr<const Policy>>(loaded);
        const auto kept = request(*policy, "api.github.com", "GET", "/repos/acme/web");
        CHECK(kept.allowed);
        CHECK_FALSE(kept.would_deny);
        const auto unnamed = request(*policy, "evil.test", "POST", "/");
        CHECK(unnamed.allowed);
        CHECK(unnamed.would_deny);
        CHECK(unnamed.reason == Reason::no_rule);
        CHECK_FALSE(unnamed.rule);
        const auto denied = request(*policy, "api.github.com", "GET", "/repos/acme/secret/x");
        CHECK(denied.would_deny);
        CHECK(denied.reason == Reason::denied_by_rule);
        CHECK(denied.rule->action == Action::deny);
        CHECK(decide_stream(*policy, {"db.test", 5432}, false).would_deny);
        CHECK(resolution(*policy, "evil.test") == Resolution::only_in_audit);
        CHECK(resolution(*policy, "api.github.com") == Resolution::yes);
    }

    TEST_CASE("audit mode refuses what no rule can allow, and does not pass TLS through unasked") {
        const Policy policy({}, {}, {}, {}, Mode::audit);
        CHECK_FALSE(decide_stream(policy, {"a.test", 443}, false).allowed);
        CHECK_FALSE(decide_stream(policy, {"a.test", 80}, false).allowed);
        CHECK_FALSE(decide_stream(policy, {"a.test", 443}, true).allowed);
        CHECK_FALSE(decide_stream(policy, {"a.test", 8443}, true).allowed);
    }

    TEST_CASE("of several allow rules one that reaches private addresses is named") {
        const auto policy = policy_of(R"(
[[allow]]
host = "*.corp.example"
[[allow]]
host    = "db.corp.example"
private = true
)");
        CHECK(request(*policy, "db.corp.example", "GET", "/").rule->private_addresses);
        CHECK(!request(*policy, "web.corp.example", "GET", "/").rule->private_addresses);
    }

    TEST_CASE("rules come in the order of the file, each once") {
        const auto policy = policy_of(R"(
[[allow]]
host = "*.com"
[[allow]]
host = ["a.example.com", "*.example.com", "*.com"]
[[allow]]
host = "a.example.com"
)");
        const auto rules = policy->rules_for("a.example.com");
        REQUIRE(rules.size() == 3);
        CHECK(rules[0]->where.line == 2);
        CHECK(rules[1]->where.line == 4);
        CHECK(rules[2]->where.line == 6);
        CHECK(policy->rules_for("com").empty());
    }

    TEST_CASE("routes and secrets belong to their hosts") {
        const auto policy = policy_of(R"(
[[secret]]
name   = "a"
host   = ["api.example.com", "*.svc.example.com"]
header = "x-api-key"
value  = { env = "A" }
[[route]]
host = "api.example.com"
to   = "https://connector.internal:8443"
)");
        CHECK(policy->secrets_for("api.example.com").size() == 1);
        CHECK(policy->secrets_for("x.svc.example.com").size() == 1);
        CHECK(policy->secrets_for("example.com").empty());
        CHECK(policy->secrets_for("connector.internal").empty());
        CHECK(policy->route_for("api.example.com")->to_host == "connector.internal");
        CHECK(policy->route_for("x.api.example.com") == nullptr);
    }

    /// The least that a decision took, in nanoseconds: whatever else the machine does only adds to it.
    double cost_over(int other_rules) {
        std::vector<Rule> rules;
        std::string error;
        for (int i = 0; i < other_rules; ++i) {
            Rule rule;
            rule.hosts.push_back(
                *HostPattern::parse((i % 2 ? "*.h" : "h") + std::to_string(i) + ".example.com", error));
            rule.paths.push_back(*PathPattern::parse("/repos/acme/**", error));
            rules.push_back(std::move(rule));
        }
        const Policy policy(std::move(rules), {}, {});
        const Target target = target_of("/repos/acme/x/issues");
        const Destination to{"a.h7.example.com", 443};
        constexpr int kRounds = 200;
        auto least = std::chrono::steady_clock::duration::max();
        for (int batch = 0; batch < 50; ++batch) {
            int allowed = 0;
            const auto start = std::chrono::steady_clock::now();
            for (int i = 0; i < kRounds; ++i) allowed += decide_request(policy, to, {"GET", target}).allowed;
            least = std::min(least, std::chrono::steady_clock::now() - start);
            REQUIRE(allowed == kRounds);
        }
        return std::chrono::duration<double, std::nano>(least).count() / kRounds;
    }

    TEST_CASE("the cost of a decision does not grow with rules for other hosts") {
        const auto few = cost_over(10), many = cost_over(10'000);
        MESSAGE("one decision over 10 rules: ", few, " ns, over 10,000: ", many, " ns");
        CHECK(many < 20 * few);  // a scan would take hundreds of times as long
    }
}
