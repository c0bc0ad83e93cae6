// What an origin gives away of a secret, to real clients: from real servers, compressed, and by a redirect.

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/sandbox.hpp"
#include "tests/support/transfer_origin.hpp"

using namespace sallyport::test;

namespace {

constexpr const char* kPlaceholder = "sk-placeholder-0000";

std::string policy(const TransferOrigin& origin, Speaks speaks) {
    return origin.serves("api.example.test", speaks) + origin.serves("other.example.test", speaks) +
           "[[secret]]\nname = \"api-key\"\nhost = \"api.example.test\"\nheader = \"x-api-key\"\nplaceholder = \"" +
           kPlaceholder + "\"\nvalue = { env = \"API_KEY\" }\n";
}

/// Tries `situation` with a curl and an origin for each pair of versions.
template <class Situation>
void for_each_pair(Situation situation) {
    const TransferOrigin origin;
    for (const auto user : one_sandbox_user())
        for (const auto speaks : {Speaks::https1, Speaks::https2})
            for (const std::string curl : {"curl -sS --http1.1 ", "curl -sS --http2 "}) {
                CAPTURE(curl);
                const Sandbox sandbox(user, policy(origin, speaks), &origin, {std::string("API_KEY=") + StandIn::kKey});
                situation(curl, sandbox, origin);
                std::stringstream log;
                log << std::ifstream(sandbox.audit_file()).rdbuf();
                CHECK(log.str().find(StandIn::kKey) == std::string::npos);
            }
}

bool tells(const Ran& ran, const std::string& text) { return ran.says(text) || ran.complains(text); }

}  // namespace

TEST_CASE("scrub: what a server echoes compressed reaches curl with the placeholder in it, and the log says so") {
    for_each_pair([](const std::string& curl, const Sandbox& sandbox, const TransferOrigin& origin) {
        for (const std::string coding : {"gzip", "deflate", "br", "zstd"}) {
            CAPTURE(coding);
            const auto ran = sandbox.run(curl + "--compressed -D head https://api.example.test/coded/" + coding);
            CAPTURE(ran.shown());
            REQUIRE(ran.exited_with(0));
            if (coding == "zstd" && sandbox.audited({{"status", 501}}) > 0) {
                MESSAGE("skipped: this Node has no zstd");
                continue;
            }
            CHECK(origin.requests().back()["headers"]["x-api-key"] == StandIn::kKey);
            CHECK(ran.says(kPlaceholder));
            CHECK_FALSE(tells(ran, StandIn::kKey));
            CHECK(sandbox.run("tr A-Z a-z <head").says("content-encoding: " + coding));
            CHECK(sandbox.audited({{"path", "/coded/" + coding}, {"scrubbed", {"api-key"}}}) == 1);
        }
    });
}

TEST_CASE("scrub: a redirect to another host takes no secret along, be it ours or in the address") {
    for_each_pair([](const std::string& curl, const Sandbox& sandbox, const TransferOrigin& origin) {
        const auto before = origin.requests().size();
        const auto ran = sandbox.run(curl + "-L https://api.example.test/redirect/other.example.test");
        CAPTURE(ran.shown());
        REQUIRE(ran.exited_with(0));
        CHECK(ran.says("\"path\":\"/echo\""));
        CHECK_FALSE(tells(ran, StandIn::kKey));
        const auto told =
            sandbox.run(curl + "-L -w '%{http_code}' https://api.example.test/redirect/other.example.test/telling");
        CAPTURE(told.shown());
        CHECK(told.out.ends_with("403"));  // on its way to the other host the placeholder is an alarm
        CHECK_FALSE(tells(told, StandIn::kKey));
        CHECK(sandbox.audited({{"path", "/redirect/other.example.test/telling"}, {"scrubbed", {"api-key"}}}) == 1);
        CHECK(sandbox.audit().back().value("alarm", "").starts_with("placeholder of secret api-key on its way to "));

        const auto requests = origin.requests();
        REQUIRE(requests.size() == before + 3);
        for (const auto at : {0, 2}) CHECK(requests[before + at]["headers"]["x-api-key"] == StandIn::kKey);
        CHECK_FALSE(requests[before + 1]["headers"].contains("x-api-key"));
    });
}
