// The table of situations, run for every pair of HTTP versions: what the gateway itself decides, says and puts in.

#include <fmt/format.h>

#include <cstdlib>

#include "tests/support/protocol_pair.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

std::string deny(const std::string& path) {
    return fmt::format("[[deny]]\nhost = \"{}\"\npath = \"{}\"\n", ProtocolPair::kName, path);
}

std::string secret(const std::string& more) {
    ::setenv("SALLYPORT_TEST_KEY", "the-real-key", 1);
    return fmt::format(
        "[[secret]]\nname = \"k\"\nhost = \"{}\"\nvalue = {{ env = \"SALLYPORT_TEST_KEY\" }}\n"
        "placeholder = \"placeholder-1\"\n{}",
        ProtocolPair::kName, more);
}

}  // namespace

SITUATION("a refusal can be read, and the next request is decided anew") {
    ProtocolPair pair(versions, deny("/denied/**"));
    const auto client = pair.client();
    client->send_head(request("GET", "/denied/x"), true);
    const auto refused = client->read_head();
    CHECK(refused.status == 403);
    const auto page = client->read_rest();
    CHECK(page.whole);
    CHECK(refused.field("content-length") == std::to_string(page.body.size()));
    CHECK(page.body.find("/denied/x") != std::string::npos);
    CHECK(page.body.find("test.toml:") != std::string::npos);
    CHECK(pair.origins().nothing_for(100));

    const auto next = pair.client();
    next->send_head(request("GET", "/allowed"), true);
    const auto origin = pair.origin();
    CHECK(origin->read_head().path == "/allowed");
    origin->send_head(response(200), true);
    CHECK(next->read_head().status == 200);
    const auto events = pair.gateway().finish();
    REQUIRE(events.size() == 2);
    CHECK(events[0]["decision"] == "deny");
    CHECK(events[0]["path"] == "/denied/x");
    CHECK(events[0]["status"] == 403);
    CHECK(events[1]["decision"] == "allow");
    CHECK(events[1]["path"] == "/allowed");
    CHECK(events[1]["status"] == 200);
}

SITUATION("a refusal is read before the body that it is about was sent") {
    ProtocolPair pair(versions, deny("/denied"));
    const auto client = pair.client();
    client->send_head(request("POST", "/denied"), false);
    client->send_body("the beginning");
    CHECK(client->read_head().status == 403);
    CHECK(client->read_rest().whole);
    CHECK(pair.origins().nothing_for(100));
}

SITUATION("a refusal of HEAD has no body") {
    ProtocolPair pair(versions, deny("/denied"));
    const auto client = pair.client();
    client->send_head(request("HEAD", "/denied"), true);
    CHECK(client->read_head().status == 403);
    const auto rest = client->read_rest();
    CHECK(rest.whole);
    CHECK(rest.body.empty());
}

SITUATION("a secret is put in, in a header of its own and in the place of its placeholder") {
    for (const bool own_header : {true, false}) {
        ProtocolPair pair(versions, secret(own_header ? "header = \"x-api-key\"\n" : ""));
        const auto client = pair.client();
        client->send_head(request("GET", "/", {{"x-api-key", "placeholder-1"}}), true);
        const auto origin = pair.origin();
        CHECK(origin->read_head().field("x-api-key") == "the-real-key");
        origin->send_head(response(200), true);
        CHECK(client->read_head().status == 200);
        const auto events = pair.gateway().finish();
        REQUIRE(events.size() == 1);
        CHECK(events[0].dump().find("the-real-key") == std::string::npos);
        CHECK(events[0]["secrets"] == nlohmann::json{"k"});
    }
}

SITUATION("a placeholder in a cookie is replaced, however the cookies came") {
    ProtocolPair pair(versions, secret(""));
    const bool crumbs = versions.client == Version::http2;
    const auto client = pair.client();
    client->send_head(request("GET", "/",
                              crumbs ? Fields{{"cookie", "a=1"}, {"cookie", "k=placeholder-1"}}
                                     : Fields{{"cookie", "a=1; k=placeholder-1"}}),
                      true);
    const auto cookies = pair.origin()->read_head().field("cookie");
    CHECK(cookies.find("k=the-real-key") != std::string::npos);
    CHECK(cookies.find("a=1") != std::string::npos);
    CHECK(cookies.find("placeholder") == std::string::npos);
}

SITUATION("a request for another authority on this connection is a 421 and goes nowhere") {
    ProtocolPair pair(versions, "[[allow]]\nhost = \"other.test\"\nport = [1, 65535]\nprivate = true\n");
    const auto port = std::to_string(pair.origins().port());
    for (const std::string& authority : {"other.test:" + port, std::string("other.test"), ProtocolPair::kName + ":1"}) {
        const auto client = pair.client(authority);
        client->send_head(request("GET", "/"), true);
        CHECK_MESSAGE(client->read_head().status == 421, authority);
        CHECK(client->read_rest().whole);
    }
    CHECK(pair.origins().nothing_for(100));
}

SITUATION("what no rule can allow is refused: CONNECT, TRACE, odd paths") {
    ProtocolPair pair(versions);
    const auto status = [&](const char* method, const char* path) {
        const auto client = pair.client();
        client->send_head(request(method, path), true);
        const auto answer = client->read_head().status;
        client->read_rest();
        return answer;
    };
    CHECK(status("TRACE", "/") == 405);
    CHECK(status("GET", "/%2e%2e%00") == 400);
    CHECK(status("GET", "/..%2f..%2fetc") == 400);
    CHECK(pair.origins().nothing_for(100));
}

SITUATION("a policy that allows an exchange no longer ends it, and only it") {
    ProtocolPair pair(versions);
    const auto begin = [&](const char* path) {
        auto client = pair.client();
        client->send_head(request("GET", path), true);
        auto origin = pair.origin();
        origin->read_head();
        origin->send_head(response(200), false);
        origin->send_body("half");
        CHECK(client->read_head().status == 200);
        CHECK(client->read_body(4) == "half");
        return std::pair(std::move(client), std::move(origin));
    };
    const bool several = versions.client == Version::http2;
    const auto stays = several ? begin("/stays") : std::pair<MessageEndPtr, MessageEndPtr>();
    const auto ends = begin("/ends");
    CHECK(pair.gateway().replace_policy(fmt::format("[[allow]]\nhost = \"{}\"\nport = {}\nprivate = true\n{}",
                                                    ProtocolPair::kName, pair.origins().port(), deny("/ends"))) == 1);
    CHECK_FALSE(ends.first->read_rest().whole);
    CHECK(ends.second->is_cut());
    if (!several) return;
    stays.second->send_end();
    CHECK(stays.first->read_rest().whole);
}
