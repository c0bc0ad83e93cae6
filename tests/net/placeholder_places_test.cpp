// Placeholders beyond header fields, for every pair of HTTP versions: replaced where the rule says so, and nowhere
// else.

#include <fmt/format.h>

#include <cstdlib>

#include "tests/support/protocol_pair.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kValue = "real/\"Value\" 1";  // to be written otherwise in a path, in JSON and in a form

std::string secret(const std::string& places) {
    ::setenv("SALLYPORT_TEST_PLACES", kValue.c_str(), 1);
    return fmt::format(
        "[[secret]]\nname = \"k\"\nhost = \"{}\"\nplaceholder = \"dummy-value\"\nplaceholder_in = [{}]\n"
        "value = {{ env = \"SALLYPORT_TEST_PLACES\" }}\n",
        ProtocolPair::kName, places);
}

struct Sent {
    MessageHead head;
    std::string body;
};

/// What the origin gets for a POST in these pieces.
Sent post(ProtocolPair& pair, const std::string& path, const std::string& type, const std::vector<std::string>& pieces,
          Fields fields = {}) {
    std::size_t length = 0;
    for (const auto& piece : pieces) length += piece.size();
    fields.emplace_back("content-type", type);
    fields.emplace_back("content-length", std::to_string(length));
    const auto client = pair.client();
    client->send_head(request("POST", path, fields), false);
    for (const auto& piece : pieces) client->send_body(piece);
    client->send_end();
    const auto origin = pair.origin();
    Sent sent;
    sent.head = origin->read_head();
    const auto rest = origin->read_rest();
    CHECK(rest.whole);
    sent.body = rest.body;
    origin->send_head(response(204), true);
    CHECK(client->read_head().status == 204);
    return sent;
}

}  // namespace

SITUATION("placeholder: in path and query, after the decision, and the audit log shows the placeholder") {
    ProtocolPair pair(versions, secret("\"path\", \"query\""));
    const auto sent =
        post(pair, "/bot-dummy-value/send?key=dummy%2Dvalue", "application/json", {"{\"a\": \"dummy-value\"}"});
    CHECK(sent.head.path == "/bot-real%2F%22Value%22%201/send?key=real%2F%22Value%22%201");
    CHECK(sent.body == "{\"a\": \"dummy-value\"}");
    const auto events = pair.gateway().finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["path"] == "/bot-dummy-value/send?key=dummy%2Dvalue");
    CHECK(events[0]["secrets"] == nlohmann::json::array({"k"}));
    CHECK(events[0].dump().find("real") == std::string::npos);
}

SITUATION("placeholder: in JSON, escaped as JSON wants it, across pieces, with the length that it has then") {
    ProtocolPair pair(versions, secret("\"json\""));
    const auto sent = post(pair, "/dummy-value", "application/json; charset=utf-8", {"{\"key\": \"dummy-", "value\"}"});
    CHECK(sent.head.path == "/dummy-value");
    CHECK(sent.body == R"({"key": "real/\"Value\" 1"})");
    CHECK(sent.head.field("content-length") == std::to_string(sent.body.size()));
}

SITUATION("placeholder: in a form, percent-encoded") {
    ProtocolPair pair(versions, secret("\"form\""));
    const auto sent = post(pair, "/", "application/x-www-form-urlencoded", {"a=1&key=dummy%2dvalue&b=2"});
    CHECK(sent.body == "a=1&key=real%2F%22Value%22%201&b=2");
}

SITUATION("placeholder: a body of another kind, or one that is compressed, goes as it is") {
    ProtocolPair pair(versions, secret("\"json\", \"form\""));
    const std::string text = "\"dummy-value\"";
    CHECK(post(pair, "/", "text/plain", {text}).body == text);
    CHECK(post(pair, "/", "application/json", {text}, {{"content-encoding", "gzip"}}).body == text);
    CHECK(post(pair, "/", "application/json", {text}).body != text);
}
