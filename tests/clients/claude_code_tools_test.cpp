// The real Claude Code at work: a conversation of several turns in which it uses its tools. Only the API is a stand-in.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/support/installed.hpp"
#include "tests/support/sandbox.hpp"
#include "tests/support/transfer_origin.hpp"

using namespace sallyport::test;
using nlohmann::json;

namespace {

constexpr const char* kPlaceholder = "sk-ant-placeholder-0000";

struct Api {
    std::string what;
    Speaks speaks;
};

const Api kApis[] = {
    {"h1", Speaks::https1},

    {"h2", Speaks::https2},

};

std::string policy(const TransferOrigin& origin, Speaks speaks) {
    return "[[secret]]\nname = \"anthropic\"\nhost = \"api.anthropic.com\"\nheader = \"x-api-key\"\nplaceholder = \"" +
           std::string(kPlaceholder) + "\"\nvalue = { env = \"ANTHROPIC_API_KEY\" }\n" +
           origin.serves("api.anthropic.com", speaks) +
           // Resolved, so that the last turn's request is refused and not its name.
           "[[allow]]\nhost = \"other.example.test\"\npath = \"/elsewhere\"\n";
}

std::size_t messages_in(const std::vector<json>& requests) {
    return static_cast<std::size_t>(std::count_if(requests.begin(), requests.end(), [](const json& request) {
        return request["method"] == "POST" && request["path"].get<std::string>().starts_with("/v1/messages");
    }));
}

}  // namespace

TEST_CASE("claude code: it works through several turns with its tools, and what these may not reach they do not") {
    const auto program = installed("install-claude-code");
    if (program.empty()) return;
    for (const auto& api : kApis)
        for (const auto user : sandbox_users()) {
            CAPTURE(api.what);
            const TransferOrigin origin;
            const Sandbox sandbox(user, policy(origin, api.speaks), &origin,
                                  {std::string("ANTHROPIC_API_KEY=") + StandIn::kKey, "IS_SANDBOX=1"});
            const auto ran = sandbox.run(
                program +
                " --dangerously-skip-permissions --output-format stream-json --verbose -p \"work in $PWD .\" "
                "</dev/null");
            CAPTURE(ran.shown());
            CHECK(ran.exited_with(0));
            CHECK(ran.says("done after 4 turns"));
            CHECK_FALSE(ran.says("failed"));
            CHECK(run_program({"cat", sandbox.directory() / "answer.txt", sandbox.directory() / "written.txt"}).out ==
                  "42\nby a tool\n");

            const auto requests = origin.requests();
            CHECK(messages_in(requests) >= 5);
            for (const auto& request : requests) {
                CHECK(request["headers"]["x-api-key"] == StandIn::kKey);
                CHECK(request.dump().find(kPlaceholder) == std::string::npos);
            }
            CHECK(sandbox.audited({{"decision", "deny"}, {"host", "other.example.test"}, {"path", "/"}}) == 1);
            CHECK(sandbox.audited({{"decision", "allow"}}) ==
                  sandbox.audited({{"host", "api.anthropic.com"}, {"secrets", {"anthropic"}}}));
            const auto search = run_program({"grep", "-rlsF", StandIn::kKey, sandbox.directory()});
            CAPTURE(search.shown());
            CHECK(search.exited_with(1));
        }
}
