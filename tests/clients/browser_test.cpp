// A browser, with its own network stack, resolver and list of trusted certificates.

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

#include "tests/support/http2_origin.hpp"
#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

// An ordinary user's browser is in a sandbox of its own, too; it has none for root.
constexpr const char* kBrowser =
    "test $(id -u) != 0 || root=--no-sandbox; chromium $root --headless=new --disable-gpu --no-first-run --dump-dom "
    "--user-data-dir=profile --timeout=30000 https://www.example.test/page/one";

std::string policy(const StandIn& origin) {
    return "[[allow]]\nhost = \"www.example.test\"\npath = [\"/page/**\", \"/part/**\", \"/echo/**\", \"/events/**\", "
           "\"/wait/**\", \"/go/**\"]\n" +
           origin.route("www.example.test");
}

/// What the page has put into itself; null when it did not get that far.
nlohmann::json report(const std::string& document) {
    const std::string start = "<pre id=\"report\">";
    const auto from = document.find(start), to = document.find("</pre>", from);
    if (from == document.npos || to == document.npos) return {};
    const auto text = document.substr(from + start.size(), to - from - start.size());
    return nlohmann::json::parse(text, nullptr, false);
}

}  // namespace

TEST_CASE("browser: a page with 50 parts over one connection of HTTP/2, events as they happen, a refusal it can read") {
    if (!has_program("chromium")) return skip("chromium is not installed");
    for (const auto user : sandbox_users()) {
        const Http2Origin origin;
        const Sandbox sandbox(user, policy(origin), &origin);
        const auto ran = sandbox.run(kBrowser);
        auto told = report(ran.out);
        CAPTURE(told.dump());
        CAPTURE(ran.err);
        CHECK(ran.exited_with(0));
        REQUIRE(told.is_object());
        CHECK(told["arrived"] == 50);
        CHECK(told["protocols"] == nlohmann::json::array({"h2"}));
        CHECK(told["events"] == nlohmann::json::array({"event 1", "event 2", "event 3", "event 4", "event 5"}));
        CHECK(told["body"] == "from a page");
        CHECK(told["status"] == 403);
        CHECK(told["refusal"].get<std::string>().find("no rule allows GET /refused on www.example.test:443") !=
              std::string::npos);

        const auto requests = origin.requests();
        std::set<std::string> versions;
        std::set<int> connections;
        for (const auto& request : requests) {
            versions.insert(request["version"]);
            connections.insert(request["connection"].get<int>());
            CHECK(request["path"] != "/refused");
        }
        CHECK(versions == std::set<std::string>{"2.0"});
        CHECK(connections.size() <= 2);
        CHECK(sandbox.audited({{"decision", "allow"}, {"status", 200}}) == requests.size());
        CHECK_FALSE(
            std::filesystem::exists("/etc/chromium/policies/managed/sallyport-ca.json"));  // only in the sandbox
        CHECK(sandbox.audited({{"decision", "deny"}, {"path", "/refused"}, {"status", 403}}) == 1);
    }
}
