// curl, unchanged, in every way that it speaks HTTP.

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

constexpr std::size_t kLarge = 20 * 1024 * 1024;

std::string policy(const StandIn& origin) {
    return "[[allow]]\nhost = \"api.example.test\"\n"
           "[[deny]]\nhost = \"api.example.test\"\npath = \"/echo/never/**\"\n"
           "[[allow]]\nhost = \"read.example.test\"\nmethod = [\"GET\", \"HEAD\"]\npath = \"/echo/**\"\n" +
           origin.route("api.example.test") + origin.route("read.example.test");
}

std::string sha256_of_pattern(std::size_t size) {
    const auto ran =
        run_program({"sh", "-c", "yes 'sallyport ' | tr -d '\\n' | head -c " + std::to_string(size) + " | sha256sum"});
    return ran.out.substr(0, 64);
}

}  // namespace

TEST_CASE("curl: the common ways to send a request all reach the origin as they were meant") {
    struct Way {
        std::string arguments, method;
        std::size_t size;
    };
    const Way ways[] = {
        {"", "GET", 0},
        {"--http1.0", "GET", 0},
        {"--http1.1", "GET", 0},
        {"--http2", "GET", 0},
        {"--compressed", "GET", 0},
        {"--tls-max 1.2", "GET", 0},
        {"--tlsv1.3", "GET", 0},
        {"-d hello", "POST", 5},
        {"-d hello --http1.0", "POST", 5},
        {"-X PUT -d hello", "PUT", 5},
        {"-X DELETE", "DELETE", 0},
        {"-X PATCH -d hello", "PATCH", 5},
        {"-F part=hello", "POST", 0},
        {"-T ten", "PUT", 10},
        {"-T ten -H 'Expect: 100-continue'", "PUT", 10},
        {"-T - -H 'Expect:' <ten", "PUT", 10},
        {"-X POST -T - <ten", "POST", 10},
        {"--data-binary @ten -H 'Transfer-Encoding: chunked'", "POST", 10},
    };
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin), &origin);
        sandbox.write("ten", "0123456789");
        for (const auto& way : ways) {
            const auto before = sandbox.audit().size();
            const auto ran = sandbox.run("curl -sS 'https://api.example.test/echo?a=b%20c' " + way.arguments);
            CAPTURE(way.arguments);
            CAPTURE(ran.shown());
            REQUIRE(ran.exited_with(0));
            const auto told = nlohmann::json::parse(ran.out);
            CHECK(told["method"] == way.method);
            CHECK(told["path"] == "/echo?a=b%20c");
            if (way.size > 0) CHECK(told["size"] == way.size);
            const auto log = sandbox.audit();
            REQUIRE(log.size() == before + 1);
            CHECK(log.back()["decision"] == "allow");
            CHECK(log.back()["method"] == way.method);
            CHECK(log.back()["path"] == "/echo?a=b%20c");
            CHECK(log.back()["host"] == "api.example.test");
            CHECK(log.back()["status"] == 200);
            CHECK(log.back()["rule"] == sandbox.policy_file().string() + ":1");
        }
    }
}

TEST_CASE("curl: HEAD, compression and large headers") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin), &origin);
        const auto head = sandbox.run("curl -sSI https://api.example.test/bytes/12345");
        CAPTURE(head.shown());
        CHECK(head.says("HTTP/1.1 200 OK"));
        CHECK(head.says("Content-Length: 12345"));
        CHECK(sandbox.run("curl -sS --compressed https://api.example.test/gzip").out == "compressed on its way\n");
        const auto large = sandbox.run("curl -sS -H \"x-large: $(printf '%030000d' 0)\" https://api.example.test/echo");
        CAPTURE(large.shown());
        CHECK(large.says("\"longest\": 30000"));
        const auto too_large = sandbox.run(
            "for i in 1 2 3; do printf 'x-large: %0100000d\\n' 0; done >fields; "
            "curl -sS -w '%{http_code}' -H @fields https://api.example.test/echo");
        CAPTURE(too_large.shown());
        CHECK(too_large.says("header fields too large"));
        CHECK(too_large.out.ends_with("431"));
    }
}

TEST_CASE("curl: 20 MB arrive whole in both directions") {
    const auto sum = sha256_of_pattern(kLarge);
    const auto size = std::to_string(kLarge);
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin), &origin);
        const auto ran = sandbox.run("curl -sS -o large https://api.example.test/bytes/" + size +
                                     " && sha256sum <large && "
                                     "curl -sS -T large https://api.example.test/echo && "
                                     "curl -sS -T - https://api.example.test/echo <large");
        CAPTURE(ran.shown());
        REQUIRE(ran.exited_with(0));
        CHECK(ran.out.starts_with(sum));
        const auto uploaded = "\"size\": " + size + ", \"sha256\": \"" + sum + "\"";
        CHECK(ran.says(uploaded));
        CHECK(ran.out.find(uploaded) != ran.out.rfind(uploaded));
        CHECK(sandbox.audited({{"method", "GET"}, {"bytes_in", kLarge}, {"bytes_out", 0}}) == 1);
        CHECK(sandbox.audited({{"method", "PUT"}, {"bytes_out", kLarge}}) == 2);
    }
}

TEST_CASE("curl: several URLs go over one connection, to the origin too") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin), &origin);
        const auto before = origin.requests().size();
        const auto ran =
            sandbox.run("curl -sS -w ' %{num_connects}\\n' -o /dev/null 'https://api.example.test/echo/[1-5]'");
        CAPTURE(ran.shown());
        CHECK(ran.out == " 1\n 0\n 0\n 0\n 0\n");
        const auto requests = origin.requests();
        REQUIRE(requests.size() == before + 5);
        std::set<int> connections;
        for (auto i = before; i < requests.size(); ++i) connections.insert(requests[i]["connection"].get<int>());
        CHECK(connections.size() == 1);
        CHECK(sandbox.audited({{"decision", "allow"}}) == 5);
    }
}

TEST_CASE("curl: what the policy does not allow is refused with a page that says why, and never arrives") {
    struct Attempt {
        std::string arguments;
        std::string answer;  ///< part of the page
        std::string reason;  ///< the same in the audit log
    };
    const Attempt attempts[] = {
        {"-d data https://read.example.test/echo/x", "method = \"POST\"", "no rule allows POST"},
        {"https://read.example.test/other", "path   = \"/other\"", "no rule allows GET /other"},
        {"https://read.example.test/echo/%2e%2e/other", "path   = \"/other\"", "no rule allows GET /other"},
        {"https://api.example.test/echo/never/x", "sallyport.toml:3", "sallyport.toml:3 denies GET"},
        {"-H 'Host: evil.test' https://api.example.test/echo", "the request is for evil.test",
         "the request is for evil.test"},
        {"-X TRACE https://api.example.test/echo", "TRACE", "TRACE"},
        {"-H 'Upgrade: websocket' https://api.example.test/echo", "Upgrade", "Upgrade"},
        {"--resolve evil.test:443:203.0.113.9 https://evil.test/", "host   = \"evil.test\"",
         "no rule names evil.test:443"},
        {"--resolve evil.test:80:203.0.113.9 http://evil.test/", "http://evil.test/", "no rule names evil.test:80"},
        {"https://203.0.113.9/", "host   = \"203.0.113.9\"", "no rule names 203.0.113.9:443"},
        {"-g https://[2001:db8::9]/", "host   = \"2001:db8::9\"", "no rule names [2001:db8::9]:443"},
        {"--connect-to ::127.0.0.1:1 https://127.0.0.1/", "", ""},  // loopback is the sandbox's own
    };
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin), &origin);
        const auto before = origin.requests().size();
        for (const auto& attempt : attempts) {
            const auto lines = sandbox.audit().size();
            const auto ran = sandbox.run("curl -sS -m 10 -w '\\n%{http_code}' " + attempt.arguments);
            CAPTURE(attempt.arguments);
            CAPTURE(ran.shown());
            CHECK(ran.says(attempt.answer));
            const auto log = sandbox.audit();
            if (attempt.reason.empty()) {
                CHECK(ran.exited_with(7));
                CHECK(log.size() == lines);
                continue;
            }
            CHECK(ran.exited_with(0));
            REQUIRE(log.size() == lines + 1);
            CHECK(log.back()["decision"] == "deny");
            CHECK(log.back()["reason"].get<std::string>().find(attempt.reason) != std::string::npos);
            CHECK(log.back()["status"].get<int>() >= 400);
        }
        CHECK(origin.requests().size() == before);
    }
}

TEST_CASE("curl: a client that accepts JSON gets its refusal as JSON") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin), &origin);
        const auto ran =
            sandbox.run("curl -sS -H 'Accept: application/json' -X DELETE https://read.example.test/echo/x");
        CAPTURE(ran.shown());
        const auto error = nlohmann::json::parse(ran.out)["error"];
        CHECK(error["host"] == "read.example.test");
        CHECK(error["method"] == "DELETE");
        CHECK(error["path"] == "/echo/x");
        CHECK(error["allow_with"] ==
              "[[allow]]\nhost   = \"read.example.test\"\nmethod = \"DELETE\"\npath   = \"/echo/x\"\n");
    }
}

TEST_CASE("curl: the lines that a refusal suggests, put into the policy, allow the request") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin), &origin);
        const std::string command = "curl -sS -d data 'https://read.example.test/echo/x?y=z'";
        const auto refused = sandbox.run(command).out;
        const auto suggestion = refused.find("[[allow]]");
        REQUIRE(suggestion != refused.npos);
        sandbox.write("sallyport.toml", refused.substr(suggestion) + policy(origin));
        const auto ran = sandbox.run(command);
        CAPTURE(ran.shown());
        CHECK(ran.says("\"method\": \"POST\""));
    }
}

TEST_CASE("curl: a name that nothing allows is not resolved, and an unreadable protocol is not connected") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin), &origin);
        const auto ran = sandbox.run(
            "curl -sS https://secret.attacker.example/; echo $?; "
            "echo hello | curl -sS -m 5 telnet://203.0.113.9:22; echo $?; "
            "printf '\\001\\002' | curl -sS -m 5 telnet://api.example.test:80 >/dev/null; echo $?");
        CAPTURE(ran.shown());
        CHECK(ran.complains("Could not resolve host: secret.attacker.example"));
        CHECK(ran.out.starts_with("6\n"));
        CHECK(ran.out.find("\n0\n") == ran.out.npos);
        CHECK(sandbox.audited({{"event", "name"}, {"decision", "deny"}, {"name", "secret.attacker.example"}}) >= 1);
        CHECK(sandbox.audited({{"event", "connection"}, {"decision", "deny"}, {"original_dst", "203.0.113.9:22"}}) ==
              1);
        CHECK(sandbox.audited(
                  {{"event", "connection"}, {"decision", "deny"}, {"host", "api.example.test"}, {"port", 80}}) == 1);
        CHECK(sandbox.audited({{"decision", "allow"}}) == 0);
    }
}

TEST_CASE("curl: an origin whose certificate is not trusted is told apart from a refusal, and gets no request") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin));  // its CA is not made known
        const auto before = origin.requests().size();
        const auto ran = sandbox.run("curl -sS -w '%{http_code}' https://api.example.test/echo");
        CAPTURE(ran.shown());
        CHECK(ran.out.ends_with("502"));
        CHECK(ran.says("could not complete this request"));
        CHECK(ran.says("certificate"));
        CHECK(origin.requests().size() == before);
    }
}

TEST_CASE("curl: an event arrives when it is sent, not when the response is over") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin), &origin);
        unsigned long long apart = 0;  // at most, of several: what is held back comes together every time
        for (int i = 0; i < 5 && apart <= 200'000'000; ++i) {
            const auto ran = sandbox.run(
                "curl -sSN https://api.example.test/slow | while read -r line; do echo \"$(date +%s%N) $line\"; done");
            CAPTURE(ran.shown());
            const auto first = ran.out.find("part 0"), last = ran.out.find("part 4");
            REQUIRE(first != ran.out.npos);
            REQUIRE(last != ran.out.npos);
            const auto nanoseconds = [&](std::size_t part) { return std::stoull(ran.out.substr(part - 20, 19)); };
            apart = std::max(apart, nanoseconds(last) - nanoseconds(first));
        }
        CHECK(apart > 200'000'000);  // the origin takes 400 ms
    }
}
