// The HTTP clients of the languages, in the version of HTTP that each of them speaks when nobody is in between.

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "tests/support/http2_origin.hpp"
#include "tests/support/installed.hpp"
#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

// Each program asks for the same, and prints a line for it: what, the version that the client speaks, status and body;
// "many" with the bytes of eight responses asked for at once; some also an interim response, trailers, and events.
struct Client {
    std::string what;
    std::string file;      ///< in tests/clients/languages
    std::string command;   ///< in a directory that has the file
    std::string version;   ///< as it is called there
    std::string version1;  ///< HTTP/1.1 as it is called there; empty for one that speaks only HTTP/2
    std::vector<std::string> more = {};
};

const std::string kInterim = "interim 103 </style.css>; rel=preload; as=style";
const std::string kTrailer = "trailer 900150983cd24fb0";
const std::string kEvents = "events 1 2 3 4 5";
constexpr const char* kUploaded = "811e5618b44ca8ba28b2c8d4a06d207cb63697ad76f2c14c4ceb712185f311b5";
constexpr const char* kRefusal = "no rule allows GET /refused on api.example.test:443";

const std::string kJava = "java -XX:TieredStopAtLevel=1 Get.java ";

const Client kClients[] = {
    {"Go net/http", "", "get-go", "HTTP/2.0", "HTTP/1.1", {kInterim, kTrailer}},
    {"Java HttpClient", "Get.java", kJava + "HTTP_2", "HTTP_2", "HTTP_1_1"},
    {"Java HttpClient, HTTP/1.1", "Get.java", kJava + "HTTP_1_1", "HTTP_1_1", "HTTP_1_1"},
    {"Node fetch", "fetch.js", "node fetch.js", "fetch", "fetch", {kEvents}},
    {"Node http2", "http2.js", "node http2.js", "h2", "", {kInterim, kTrailer, kEvents}},
    {"Python requests", "get_requests.py", "/usr/bin/python3 get_requests.py", "HTTP/1.1", "HTTP/1.1"},
    {"Python httpx", "get_httpx.py", "/usr/bin/python3 get_httpx.py", "HTTP/2", "HTTP/1.1"},
    {"Python aiohttp", "get_aiohttp.py", "/usr/bin/python3 get_aiohttp.py", "HTTP/1.1", "HTTP/1.1"},
    {"Rust reqwest", "", "get-reqwest", "HTTP/2.0", "HTTP/1.1"},
};

std::string policy(const StandIn& origin) {
    return "[[allow]]\nhost = \"api.example.test\"\npath = [\"/echo/**\", \"/bytes/**\", \"/sha256\", \"/trailers\", "
           "\"/hints\", \"/events/**\", \"/go/**\"]\n" +
           origin.route("api.example.test");
}

/// The rest of each line by its first word.
std::map<std::string, std::string> told(const std::string& out) {
    std::map<std::string, std::string> lines;
    std::istringstream in(out);
    for (std::string line; std::getline(in, line);)
        if (const auto space = line.find(' '); space != line.npos)
            lines[line.substr(0, space)] = line.substr(space + 1);
    return lines;
}

/// What the origin says that it got; null when it was not asked.
nlohmann::json echoed(const std::string& version, const std::string& line) {
    const auto start = version + " 200 ";
    if (!line.starts_with(start)) return {};
    return nlohmann::json::parse(line.substr(start.size()), nullptr, false);
}

void check_output(const std::string& version, const std::string& out) {
    auto lines = told(out);
    auto got = echoed(version, lines["get"]), posted = echoed(version, lines["post"]);
    CHECK(got["path"] == "/echo/get");
    CHECK(posted["method"] == "POST");
    CHECK(posted["body"] == "from the sandbox");
    CHECK(lines["many"] == "800000");
    CHECK(lines["upload"] == version + " 200 " + kUploaded);
    CHECK(lines["refused"].starts_with(version + " 403 "));
    CHECK(out.find(kRefusal) != out.npos);
}

void check_requests(const std::string& arrives, const std::vector<nlohmann::json>& requests) {
    std::set<std::string> versions;
    std::set<int> connections;
    for (const auto& request : requests) {
        versions.insert(request["version"]);
        connections.insert(request["connection"].get<int>());
        CHECK(request["path"] != "/refused");
    }
    CHECK(requests.size() >= 11);
    CHECK(versions == std::set{arrives});
    if (arrives == "2.0") CHECK(connections.size() == 1);
}

std::string source(const std::string& file) {
    std::ifstream in(std::string(SALLYPORT_SOURCE_DIR "/tests/clients/languages/") + file);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// The gateway speaks HTTP/2 to an origin that can, to the client what both of them can.
void try_client(const Client& client, Http2Origin::Versions versions, User user, const std::string& built,
                const std::string& settings = {}) {
    CAPTURE(client.what);
    const Http2Origin origin(versions);
    const Sandbox sandbox(user, policy(origin), &origin);
    if (!client.file.empty()) sandbox.write(client.file, source(client.file));
    const auto ran = sandbox.run(settings + (client.file.empty() ? built + "/" : "") + client.command);
    CAPTURE(ran.shown());
    CHECK(ran.exited_with(0));
    check_output(versions == Http2Origin::both ? client.version : client.version1, ran.out);
    for (const auto& line : client.more) CHECK(ran.says(line + "\n"));
    const auto requests = origin.requests();
    check_requests(versions == Http2Origin::both ? "2.0" : "1.1", requests);
    CHECK(sandbox.audited({{"decision", "allow"}, {"status", 200}}) == requests.size());
    const auto tunnelled = sandbox.audited({{"decision", "allow"}, {"original_dst", "127.0.0.1:15080"}});
    CHECK(tunnelled == (settings.empty() ? 0 : requests.size()));
    CHECK(sandbox.audited({{"decision", "deny"}}) == 1);
    CHECK(sandbox.audited({{"decision", "deny"}, {"path", "/refused"}, {"status", 403}}) == 1);
}

}  // namespace

TEST_CASE("languages: each client does what it does without us, in the version it would choose") {
    const auto built = installed("build-test-clients");
    for (const auto& client : kClients) {
        if (client.file.empty() && built.empty()) continue;  // said by then
        for (const auto user : sandbox_users()) try_client(client, Http2Origin::both, user, built);
    }
}

TEST_CASE("languages: where the origin speaks only HTTP/1.1, so does every client, whatever it would rather have") {
    const auto built = installed("build-test-clients");
    for (const auto& client : kClients)
        if (!client.version1.empty() && !(client.file.empty() && built.empty()))
            try_client(client, Http2Origin::only_http1, sandbox_users().front(), built);
}

TEST_CASE("languages: the same through a tunnel of the explicit proxy") {
    const auto built = installed("build-test-clients");
    if (built.empty()) return;
    for (const auto& client : kClients)
        if (client.what == "Go net/http" || client.what == "Python httpx" || client.what == "Rust reqwest")
            try_client(client, Http2Origin::both, sandbox_users().front(), built,
                       "HTTPS_PROXY=http://127.0.0.1:15080 ");
}
