// The real Claude Code, as npm installs it, with a placeholder for a key. Only the API behind it is a stand-in.

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "tests/support/installed.hpp"
#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

constexpr const char* kPlaceholder = "sk-ant-placeholder-0000";

std::string policy(const StandIn& origin) {
    return "[[allow]]\nhost = \"api.anthropic.com\"\nmethod = \"POST\"\npath = \"/v1/messages/**\"\n"
           "[[secret]]\nname = \"anthropic\"\nhost = \"api.anthropic.com\"\nheader = \"x-api-key\"\nplaceholder = \"" +
           std::string(kPlaceholder) + "\"\nvalue = { env = \"ANTHROPIC_API_KEY\" }\n" +
           origin.route("api.anthropic.com");
}

bool is_message(const nlohmann::json& request) {
    return request["method"] == "POST" && request["path"].get<std::string>().starts_with("/v1/messages");
}

/// Asks for one answer, with `settings` in its environment. What holds in either case is checked here.
void say_pong(const std::string& settings, const std::function<void(const Sandbox&)>& check) {
    const auto program = installed("install-claude-code");
    if (program.empty()) return;
    for (const auto user : sandbox_users()) {
        const StandIn origin;
        // IS_SANDBOX: as root it asks for that.
        const Sandbox sandbox(user, policy(origin), &origin,
                              {std::string("ANTHROPIC_API_KEY=") + StandIn::kKey, "IS_SANDBOX=1"});
        const auto ran = sandbox.run("echo $ANTHROPIC_API_KEY; " + settings + program + " -p 'say pong' </dev/null");
        CAPTURE(ran.shown());
        CHECK(ran.exited_with(0));
        CHECK(ran.out == std::string(kPlaceholder) + "\npong\n");

        const auto requests = origin.requests();
        CHECK(std::count_if(requests.begin(), requests.end(), is_message) >= 1);
        for (const auto& request : requests) {
            CHECK(is_message(request));
            CHECK(request["headers"]["x-api-key"] == StandIn::kKey);
            CHECK(request.dump().find(kPlaceholder) == std::string::npos);
        }
        CHECK(sandbox.audited({{"decision", "allow"},
                               {"host", "api.anthropic.com"},
                               {"method", "POST"},
                               {"status", 200},
                               {"secrets", {"anthropic"}}}) >= 1);
        CHECK(sandbox.audited({{"decision", "allow"}}) == requests.size());

        // What it keeps of its run is in its home directory.
        const std::string key = StandIn::kKey;
        const auto search = run_program({"grep", "-rlsF", key, sandbox.directory()});
        CAPTURE(search.shown());
        CHECK(search.exited_with(1));
        check(sandbox);
    }
}

}  // namespace

TEST_CASE("claude code: it answers, with a key that it never had, and does without what it may not reach") {
    say_pong("", [](const Sandbox& sandbox) { CHECK(sandbox.audited({{"original_dst", "127.0.0.1:15080"}}) == 0); });
}

TEST_CASE("claude code: the same when it is set up to use the explicit proxy") {
    say_pong("HTTPS_PROXY=http://127.0.0.1:15080 ", [](const Sandbox& sandbox) {
        CHECK(sandbox.audited({{"decision", "allow"}, {"original_dst", "127.0.0.1:15080"}}) >= 1);
        CHECK(sandbox.audited({{"original_dst", "127.0.0.1:15080"}}) == sandbox.audit().size());
    });
}
