// The table of situations, run for every pair of HTTP versions: a side that gives up is heard on the other one, and
// nothing cut is ever taken for whole.

#include <chrono>

#include "tests/support/protocol_pair.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

// The gateway looks after silent clients of HTTP/1.1 every half second.
constexpr std::chrono::seconds kPromptly{3};

class Stopwatch {
public:
    bool promptly() const { return std::chrono::steady_clock::now() - began_ < kPromptly; }

private:
    const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

void check_served(ProtocolPair& pair) {
    const auto client = pair.client();
    client->send_head(request("GET", "/after"), true);
    const auto origin = pair.origin();
    CHECK(origin->read_head().path == "/after");
    origin->send_head(response(200), true);
    CHECK(client->read_head().status == 200);
}

/// A client of HTTP/2 is told on the stream and can go on with others; one of HTTP/1.1 has lost its connection.
void check_others_are_served(ProtocolPair& pair, Versions versions) {
    if (versions.client == Version::http2) check_served(pair);
}

}  // namespace

SITUATION("an origin that gives up in the middle of an answer: the client sees a cut") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    origin->send_head(response(200), false);
    origin->send_body("half");
    CHECK(client->read_head().status == 200);
    CHECK(client->read_body(4) == "half");
    const Stopwatch watch;
    origin->cut(NGHTTP2_INTERNAL_ERROR);
    const auto rest = client->read_rest();
    CHECK_FALSE(rest.whole);
    CHECK(rest.body.empty());
    CHECK(rest.reason == (versions.client == Version::http2 ? NGHTTP2_INTERNAL_ERROR : 0));
    CHECK(watch.promptly());
    check_others_are_served(pair, versions);
}

SITUATION("an origin that ends before the length that it announced: the client sees a cut") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    origin->send_head(response(200, {{"content-length", "100"}}), false);
    origin->send_body("half");
    if (versions.origin == Version::http1) origin->cut();
    else origin->send_end();
    CHECK(client->read_head().field("content-length") == "100");
    const auto rest = client->read_rest();
    CHECK_FALSE(rest.whole);
    CHECK(rest.body == "half");
    check_others_are_served(pair, versions);
}

SITUATION("an origin that gives up before it has answered is a 502 that says so") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("POST", "/", {{"content-length", "2"}}), false);
    client->send_body("hi");
    client->send_end();
    const auto origin = pair.origin();
    origin->read_head();
    CHECK(origin->read_rest().body == "hi");
    origin->cut(NGHTTP2_INTERNAL_ERROR);
    const auto answer = client->read_head();
    CHECK(answer.status == 502);
    const auto rest = client->read_rest();
    CHECK(rest.whole);
    CHECK(rest.body.find("origin.test") != std::string::npos);
    CHECK(pair.origins().nothing_for(200));  // a POST is not sent twice
}

SITUATION("a client that gives up while the origin is silent is heard at the origin") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    const Stopwatch watch;
    client->cut();
    CHECK(origin->is_cut());
    CHECK(watch.promptly());
    if (versions.origin == Version::http2) CHECK(pair.origins().http2().stream(1).reset == NGHTTP2_CANCEL);
    check_others_are_served(pair, versions);
}

SITUATION("a client that gives up in the middle of an answer is heard at the origin") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    origin->send_head(response(200), false);
    origin->send_body("half");
    CHECK(client->read_head().status == 200);
    CHECK(client->read_body(4) == "half");
    const Stopwatch watch;
    client->cut();
    CHECK(origin->is_cut());
    CHECK(watch.promptly());
    check_others_are_served(pair, versions);
}

SITUATION("a client that gives up in the middle of its request: the origin sees a cut") {
    ProtocolPair pair(versions);
    const auto client = pair.client();
    client->send_head(request("POST", "/"), false);
    client->send_body("half");
    const auto origin = pair.origin();
    origin->read_head();
    CHECK(origin->read_body(4) == "half");
    const Stopwatch watch;
    client->cut();
    const auto rest = origin->read_rest();
    CHECK_FALSE(rest.whole);
    CHECK(rest.body.empty());
    CHECK(watch.promptly());
    check_others_are_served(pair, versions);
}

SITUATION("a client whose connection is gone takes all its exchanges along") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    const Stopwatch watch;
    pair.leave();
    CHECK(origin->is_cut());
    CHECK(watch.promptly());
}

SITUATION("an origin whose connection is gone is a 502 for those who wait and no harm to those who come") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("POST", "/"), false);
    if (versions.origin == Version::http2) pair.origins().http2().wire().close();
    else origin->cut();
    CHECK(client->read_head().status == 502);
    CHECK(client->read_rest().whole);
    check_others_are_served(pair, versions);
}

SITUATION("a gateway that ends cuts what is under way on both sides, and it is on record") {
    ProtocolPair pair(versions);
    const auto [client, origin] = pair.exchange(request("GET", "/"), true);
    origin->send_head(response(200), false);
    origin->send_body("half");
    CHECK(client->read_head().status == 200);
    CHECK(client->read_body(4) == "half");
    const auto events = pair.gateway().finish();
    CHECK_FALSE(client->read_rest().whole);
    CHECK(origin->is_cut());
    REQUIRE(events.size() == 1);
    CHECK(events[0]["status"] == 200);
    CHECK(events[0]["reason"] == "allowed, ended: the test is over");
}
