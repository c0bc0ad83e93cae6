// gRPC with its real client and server: every kind of call, and what only trailers can say.

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "tests/support/installed.hpp"
#include "tests/support/sandbox.hpp"

using namespace sallyport::test;
using nlohmann::json;

namespace {

/// Each makes the same calls, and prints a line of JSON for what came of one.
struct Client {
    std::string what, file, program;
};
const Client kClients[] = {{"@grpc/grpc-js", "grpc.js", "node"},
                           {"gRPC core, from Python", "grpc_core.py", "/usr/bin/python3"}};

// As grpc::StatusCode has them.
enum Code {
    ok = 0,
    cancelled = 1,
    deadline_exceeded = 4,
    permission_denied = 7,
    failed_precondition = 9,
    unimplemented = 12
};

std::string policy(const StandIn& origin) {
    return "[[allow]]\nhost = \"api.example.test\"\nmethod = \"POST\"\npath = \"/test.Calls/**\"\n"
           "[[deny]]\nhost = \"api.example.test\"\npath = \"/test.Calls/Forbidden\"\n" +
           origin.route("api.example.test");
}

/// Its library is that in `modules`. `age`: milliseconds after which it sends a client to another connection; 0: never.
StandIn server(const std::string& modules, const std::string& age) {
    return StandIn(
        std::vector<std::string>{"node", SALLYPORT_SOURCE_DIR "/tests/clients/grpc_origin.js", modules, age});
}

std::string source(const std::string& file) {
    std::ifstream in(SALLYPORT_SOURCE_DIR "/tests/clients/languages/" + file);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// What came of each call, by its name in the client.
json results(const std::string& out) {
    json all;
    std::istringstream in(out);
    for (std::string line; std::getline(in, line);) all.update(json::parse(line, nullptr, false));
    return all;
}

json messages(int count) {
    auto all = json::array();
    for (int number = 1; number <= count; ++number) all.push_back({{"number", number}});
    return all;
}

/// How many calls of this name the server has got, or has seen cancelled.
std::ptrdiff_t count(const StandIn& origin, const std::string& name, bool cancelled) {
    const auto calls = origin.requests();
    return std::count_if(calls.begin(), calls.end(), [&](const json& call) {
        return call["path"] == "/test.Calls/" + name && call.contains("cancelled") == cancelled;
    });
}

void check_calls(const json& result) {
    CHECK(result["unary"] == json{{"messages", json::array()},
                                  {"initial", "from the server"},
                                  {"code", ok},
                                  {"details", "OK"},
                                  {"trailer", "from the server"},
                                  {"binary", "0001feff"},
                                  {"value", {{"text", "hello"}}}});
    CHECK(result["large"] == json{{"code", ok}, {"size", 5'000'000}});
    REQUIRE(result["concurrent"].size() == 20);
    for (std::size_t i = 0; i < 20; ++i) CHECK(result["concurrent"][i] == std::to_string(i));
    CHECK(result["server"]["messages"] == messages(1000));
    CHECK(result["server"]["code"] == ok);
    CHECK(result["server"]["binary"] == "0001feff");
    CHECK(result["client"] == json{{"sum", 500500}});
    CHECK(result["both"]["messages"].size() == 5);
    CHECK(result["both"]["code"] == ok);
}

void check_failures(const json& result) {
    const std::string why = "not now: 100 %, nor later \u2014 ever";
    CHECK(result["brokenOff"]["messages"] == messages(3));  // status in trailers, after messages
    CHECK(result["failure"]["messages"].empty());           // and as all that there is of a response
    for (const auto* call : {"brokenOff", "failure"}) {
        CHECK(result[call]["code"] == failed_precondition);
        CHECK(result[call]["details"] == why);
        CHECK(result[call]["trailer"] == "from the server");
        CHECK(result[call]["binary"] == "0001feff");
    }
    CHECK(result["unknown"]["code"] == unimplemented);
    CHECK(result["deadline"]["code"] == deadline_exceeded);
    CHECK(result["cancelled"]["code"] == cancelled);
    CHECK(result["forbidden"]["code"] == permission_denied);
    CHECK(result["forbidden"]["details"].get<std::string>().find("POST /test.Calls/Forbidden") != std::string::npos);
}

void check_server(const StandIn& origin) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (count(origin, "Hang", true) < 2 && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(count(origin, "Hang", true) == 2);  // one by the deadline, one by the client's will
    CHECK(count(origin, "Hang", false) == 2);
    CHECK(count(origin, "Forbidden", false) == 0);
    CHECK(count(origin, "Say", false) >= 22);

    std::set<std::string> peers;
    for (const auto& call : origin.requests())
        if (!call.contains("cancelled")) peers.insert(call["peer"].get<std::string>());
    CHECK(peers.size() == 1);
    const auto first = origin.requests().at(0)["metadata"];
    CHECK(first["x-client"] == "from the client");
    CHECK(first["x-client-bin"]["data"] == json::array({0, 1, 254, 255}));
}

void try_client(const Client& client, User user, const std::string& modules) {
    CAPTURE(client.what);
    const auto origin = server(modules, "0");
    const Sandbox sandbox(user, policy(origin), &origin);
    sandbox.write(client.file, source(client.file));
    const auto ran = sandbox.run({client.program, client.file, modules});
    CAPTURE(ran.err);
    CHECK(ran.exited_with(0));
    const auto result = results(ran.out);
    check_calls(result);
    check_failures(result);
    check_server(origin);
    CHECK(sandbox.audited({{"decision", "deny"}}) == 1);
    CHECK(sandbox.audited({{"decision", "deny"}, {"path", "/test.Calls/Forbidden"}}) == 1);
    CHECK(sandbox.audited({{"decision", "allow"}, {"path", "/test.Calls/Say"}, {"status", 200}}) >= 22);
    CHECK(sandbox.audited({{"decision", "allow"}, {"path", "/test.Calls/Hang"}}) == 2);
}

}  // namespace

TEST_CASE("grpc: calls of all four kinds, large messages, statuses, cancellation and a refusal") {
    const auto modules = installed("install-grpc");
    if (modules.empty()) return;
    for (const auto& client : kClients)
        for (const auto user : sandbox_users()) try_client(client, user, modules);
}

TEST_CASE("grpc: no call is lost when the server keeps sending its client to another connection") {
    const auto modules = installed("install-grpc");
    if (modules.empty()) return;
    // An older Node's server also cuts calls that it has begun to answer, which nobody can send again.
    if (run_program({"node", "-e", "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)"}).exited_with(1)) {
        MESSAGE("skipped: Node is older than 20");
        return;
    }
    const auto origin = server(modules, "200");
    const Sandbox sandbox(sandbox_users().front(), policy(origin), &origin);
    sandbox.write("grpc.js", source("grpc.js"));
    const auto ran = sandbox.run({"node", "grpc.js", modules, "patient"});
    CAPTURE(ran.shown());
    const auto statuses = results(ran.out)["patient"];
    CHECK(statuses.size() == 1);
    CHECK(statuses.contains("0 OK"));
    std::set<std::string> peers;
    for (const auto& call : origin.requests()) peers.insert(call["peer"].get<std::string>());
    CHECK(peers.size() > 3);
}
