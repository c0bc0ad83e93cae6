// curl, unchanged: what a message can carry, for each pair of protocols in which client and origin can meet.

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/support/sandbox.hpp"
#include "tests/support/transfer_origin.hpp"

using namespace sallyport::test;
using nlohmann::json;

namespace {

/// A client's protocol and an origin's.
struct Pair {
    std::string what;
    std::string curl;  ///< with the option that makes it speak the client's
    std::string url;
    Speaks origin;
    std::string version;  ///< as curl reports it

    bool from_http1() const { return version == "1.1"; }
    bool to_http1() const { return origin == Speaks::https1 || origin == Speaks::http1; }
};

const Pair kPairs[] = {
    {"h1 to h1", "curl -sS --http1.1 ", "https://api.example.test", Speaks::https1, "1.1"},
    {"h1 to h1, cleartext", "curl -sS --http1.1 ", "http://api.example.test", Speaks::http1, "1.1"},
    {"h1 to h2", "curl -sS --http1.1 ", "https://api.example.test", Speaks::https2, "1.1"},
    {"h2 to h1", "curl -sS --http2 ", "https://api.example.test", Speaks::http1, "2"},
    {"h2 to h1, from cleartext", "curl -sS --http2-prior-knowledge ", "http://api.example.test", Speaks::https1, "2"},
    {"h2 to h2", "curl -sS --http2 ", "https://api.example.test", Speaks::https2, "2"},
    {"h2 to h2, cleartext", "curl -sS --http2-prior-knowledge ", "http://api.example.test", Speaks::http2, "2"},
};

/// Each line of `text` that is a JSON object.
std::vector<json> objects(const std::string& text) {
    std::vector<json> found;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("{")) found.push_back(json::parse(line));
    return found;
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t n = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
    return n;
}

/// Whether name and value stand together in Node's list of raw fields.
bool has_field(const json& fields, const std::string& name, const std::string& value) {
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2)
        if (fields[i] == name && fields[i + 1] == value) return true;
    return false;
}

/// Tries `situation` for each pair, with a sandbox that may reach an origin that speaks its protocol.
template <class Situation>
void for_each_pair(Situation situation) {
    const TransferOrigin origin;
    for (const auto& pair : kPairs)
        for (const auto user : one_sandbox_user()) {
            CAPTURE(pair.what);
            const Sandbox sandbox(user, origin.serves("api.example.test", pair.origin), &origin);
            situation(pair, sandbox, origin);
        }
}

}  // namespace

TEST_CASE("curl messages: every verb, also those that few know, arrives as it was meant") {
    for_each_pair([](const Pair& pair, const Sandbox& sandbox, const TransferOrigin& origin) {
        const std::string verbs[] = {"GET",     "POST",     "PUT",        "PATCH",  "DELETE",
                                     "OPTIONS", "PROPFIND", "MKCALENDAR", "REPORT", "PURGE"};
        std::string script;
        for (const auto& verb : verbs) {
            const bool body = verb != "GET" && verb != "OPTIONS";
            script += pair.curl + "-w '%{http_version}\\n' -X " + verb + (body ? " -d hello " : " ") + pair.url +
                      "/echo/" + verb + "?a=b%20c || exit\n";
        }
        const auto ran = sandbox.run(script + pair.curl + "-I " + pair.url + "/bytes/12345/head");
        CAPTURE(ran.shown());
        REQUIRE(ran.exited_with(0));
        const auto told = objects(ran.out);
        REQUIRE(told.size() == std::size(verbs));
        for (std::size_t i = 0; i < std::size(verbs); ++i) {
            CAPTURE(verbs[i]);
            CHECK(told[i]["method"] == verbs[i]);
            CHECK(told[i]["path"] == "/echo/" + verbs[i] + "?a=b%20c");
            CHECK(told[i]["size"] == (verbs[i] == "GET" || verbs[i] == "OPTIONS" ? 0 : 5));
            CHECK(told[i]["version"] == (pair.to_http1() ? "1.1" : "2.0"));
            CHECK(sandbox.audited({{"method", verbs[i]}, {"decision", "allow"}, {"status", 200}}) == 1);
        }
        CHECK(count(ran.out, "\n" + pair.version + "\n") == std::size(verbs));
        CHECK((ran.says("ontent-Length: 12345") || ran.says("content-length: 12345")));
        CHECK(origin.requests().back()["method"] == "HEAD");
    });
}

TEST_CASE("curl messages: a verb that no rule allows is refused, whatever it is called") {
    const TransferOrigin origin;
    for (const auto& pair : kPairs)
        for (const auto user : one_sandbox_user()) {
            CAPTURE(pair.what);
            auto policy = origin.serves("api.example.test", pair.origin);
            policy.insert(policy.find("[[route]]"), "method = [\"GET\", \"PROPFIND\"]\n");
            const Sandbox sandbox(user, policy, &origin);
            const auto before = origin.requests().size();
            std::string script;
            for (const std::string verb : {"PROPFIND", "PURGE", "POST", "propfind", "TRACE"})
                script += pair.curl + "-o /dev/null -w '%{http_code} ' -X " + verb + " " + pair.url + "/echo\n";
            const auto ran = sandbox.run(script);
            CAPTURE(ran.shown());
            CHECK(ran.out == "200 403 403 403 405 ");
            CHECK(origin.requests().size() == before + 1);
        }
}

TEST_CASE("curl messages: --resolve and --connect-to, HTTP/1.0, and uploads of unknown length") {
    for_each_pair([](const Pair& pair, const Sandbox& sandbox, const TransferOrigin& origin) {
        const std::string port = pair.url.starts_with("https") ? "443" : "80";
        // Without TLS nobody can tell that an origin speaks only HTTP/2 unless the client does.
        const std::string old = pair.origin == Speaks::http2 ? pair.curl : "curl -sS --http1.0 ";
        const auto before = origin.requests().size();
        const auto ran = sandbox.run(pair.curl + "--resolve api.example.test:" + port + ":203.0.113.7 " + pair.url +
                                     "/echo/resolved && " + pair.curl + "--connect-to ::203.0.113.8: " + pair.url +
                                     "/echo/connected && " + old + pair.url + "/echo/old && " + "printf 0123456789 | " +
                                     pair.curl + "-T - " + pair.url + "/echo/stream");
        CAPTURE(ran.shown());
        REQUIRE(ran.exited_with(0));
        const auto told = objects(ran.out);
        REQUIRE(told.size() == 4);
        CHECK(told[3]["size"] == 10);
        CHECK(told[3]["sha256"] == "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882");
        CHECK(origin.requests().size() == before + 4);
        // The addresses are recorded, and not where anything went.
        CHECK(sandbox.audited({{"path", "/echo/resolved"}, {"original_dst", "203.0.113.7:" + port}}) == 1);
        CHECK(sandbox.audited({{"path", "/echo/connected"}, {"original_dst", "203.0.113.8:" + port}}) == 1);
        CHECK(sandbox.audited({{"decision", "allow"}}) == 4);
    });
}

TEST_CASE("curl messages: a client that expects 100 gets the origin's own, or its refusal before the body is sent") {
    for_each_pair([](const Pair& pair, const Sandbox& sandbox, const TransferOrigin& origin) {
        // Long enough that sending it unasked would be no accident, and that curl would wait.
        const auto upload = pair.curl + "-D - --expect100-timeout 60 -H 'Expect: 100-continue' -T body " + pair.url;
        const auto before = origin.requests().size();
        sandbox.write("body", std::string(3'000'000, 'x'));
        // Over HTTP/2 this curl begins with the body when the refusal is there, and may take its stream's end for an
        // error.
        const bool obeys = pair.from_http1();
        const auto ran =
            sandbox.run(upload + "/expecting/welcome && " + upload + "/expecting/refused" + (obeys ? "" : " || true"));
        CAPTURE(ran.shown());
        REQUIRE(ran.exited_with(0));
        const std::string version = "HTTP/" + pair.version;
        const auto interim = ran.out.find(version + " 100"), final = ran.out.find(version + " 200");
        CHECK(interim < final);
        const auto told = objects(ran.out);
        REQUIRE_FALSE(told.empty());
        CHECK(told[0]["size"] == 3'000'000);
        CHECK(has_field(told[0]["fields"], pair.from_http1() && pair.to_http1() ? "Expect" : "expect", "100-continue"));
        CHECK((ran.says(version + " 417") || !obeys));
        const auto requests = origin.requests();
        REQUIRE(requests.size() > before + 1);
        CHECK(requests[before + 1]["headers"]["expect"] == "100-continue");
        CHECK(sandbox.audited({{"path", "/expecting/welcome"}, {"status", 200}, {"bytes_out", 3'000'000}}) == 1);
        // What curl then sends without having asked is another request.
        nlohmann::json refused{{"path", "/expecting/refused"}, {"status", 417}};
        // HTTP/2 may tell the end of the refusal a moment later, when this curl goes on already.
        if (obeys && pair.to_http1()) refused["bytes_out"] = 0;
        CHECK(sandbox.audited(refused) >= 1);
    });
}

TEST_CASE("curl messages: parts, what was not modified, and compressed bodies are as the origin has them") {
    for_each_pair([](const Pair& pair, const Sandbox& sandbox, const TransferOrigin&) {
        const auto get = pair.curl + "-w ' %{http_code} %{size_download}\\n' " + pair.url + "/thousand ";
        const auto ran = sandbox.run(
            get + "-r 10-29 && " + get + "-o none -r 1000-1999 && " + get + "-H 'If-None-Match: \"v1\"' && " + get +
            "-o whole && { head -c 400 whole; } >resumed && " + get + "-C - -o resumed && cmp whole resumed && " +
            pair.curl + "-D - -H 'Accept-Encoding: gzip' -o stored " + pair.url + "/gzip && " +
            "gunzip -c stored | cmp - whole && " + pair.curl + "--compressed " + pair.url + "/gzip | cmp - whole");
        CAPTURE(ran.shown());
        REQUIRE(ran.exited_with(0));
        CHECK(ran.out.starts_with("000000001\n000000002\n 206 20\n 416 0\n 304 0\n 200 1000\n 206 600\n"));
        CHECK((ran.says("Content-Encoding: gzip") || ran.says("content-encoding: gzip")));
        CHECK(sandbox.audited({{"status", 304}, {"bytes_in", 0}}) == 1);
    });
}

TEST_CASE("curl messages: fields keep their order, several Set-Cookie stay several, and 64 KB of them pass both ways") {
    for_each_pair([](const Pair& pair, const Sandbox& sandbox, const TransferOrigin&) {
        const auto ran = sandbox.run("for i in $(seq 60); do printf 'x-field-%d: %01000d\\n' $i $i; done >fields; " +
                                     pair.curl + "-H 'X-ODD-Case: One' -H 'x-odd-case: two' -H @fields -b 'a=1; b=2' " +
                                     pair.url + "/echo && " + pair.curl + "-D - " + pair.url + "/cookies && " +
                                     pair.curl + "-o none -D - " + pair.url + "/fields/64");
        CAPTURE(ran.shown());
        REQUIRE(ran.exited_with(0));
        const auto told = objects(ran.out);
        REQUIRE(told.size() == 1);
        const auto& fields = told[0]["fields"];
        const bool kept = pair.from_http1() && pair.to_http1();
        CHECK(has_field(fields, kept ? "X-ODD-Case" : "x-odd-case", "One"));
        CHECK(has_field(fields, "x-odd-case", "two"));
        CHECK(fields.dump().find("\"One\"") < fields.dump().find("\"two\""));
        CHECK(fields.dump().find("a=1; b=2") != std::string::npos);
        for (int i = 1; i <= 60; ++i) {  // curl takes no more for HTTP/2
            const auto number = std::to_string(i);
            CHECK(has_field(fields, "x-field-" + number, std::string(1000 - number.size(), '0') + number));
        }
        const std::string name = kept ? "Set-Cookie" : "set-cookie";
        const auto cookies =
            name + ": a=1; Path=/\r\n" + name + ": b=2; Expires=Thu, 01 Jan 2099 00:00:00 GMT\r\n" + name + ": c=3\r\n";
        CHECK(ran.says(cookies));
        CHECK(count(ran.out, "x-field-") == 60 + 64);
    });
}

TEST_CASE("curl messages: trailers follow the body") {
    for_each_pair([](const Pair& pair, const Sandbox& sandbox, const TransferOrigin&) {
        const auto ran = sandbox.run(pair.curl + "-D head -o body " + pair.url + "/trailers && cat body head && " +
                                     pair.curl + "--raw " + pair.url + "/trailers");
        CAPTURE(ran.shown());
        REQUIRE(ran.exited_with(0));
        CHECK(ran.out.starts_with("a body, and then\nHTTP/"));
        const auto trailer = ran.out.find("x-checksum: 900150983cd24fb0");
        CHECK(trailer > ran.out.find("\r\n\r\n"));
        if (pair.from_http1()) CHECK(ran.says("11\r\na body, and then\n\r\n0\r\nx-checksum: 900150983cd24fb0\r\n\r\n"));
    });
}

TEST_CASE("curl messages: many transfers at once, up and down, all arrive whole") {
    for_each_pair([](const Pair& pair, const Sandbox& sandbox, const TransferOrigin&) {
        const auto ran = sandbox.run("head -c 1000000 /dev/zero >body; " + pair.curl + "-Z --parallel-immediate " +
                                     pair.url + "/bytes/300000/[1-40] -o 'got#1' && cat got* | wc -c; " + pair.curl +
                                     "-Z --parallel-immediate -T body " + pair.url + "/echo/[1-20]");
        CAPTURE(ran.shown());
        REQUIRE(ran.exited_with(0));
        CHECK(ran.out.starts_with("12000000\n"));
        CHECK(count(ran.out,
                    "\"size\":1000000,"
                    "\"sha256\":\"d29751f2649b32ff572b5e0a9f541ea660a50f94ff0beedfb0b692b924cc8025\"") == 20);
        CHECK(sandbox.audited({{"decision", "allow"}, {"status", 200}}) == 60);
    });
}
