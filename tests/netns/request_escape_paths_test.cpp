// Paths and methods with a second reading, against an allow rule (/open/**) and a deny rule within it (/open/shut/**,
// DELETE), by both versions of HTTP: what arrives is what was decided on.

#include <doctest/doctest.h>

#include "tests/support/attempts.hpp"
#include "tests/support/http2_peer.hpp"

using namespace sallyport::test;

namespace {

/// Whichever version the client speaks, the origin sees the same.
void try_target(AttemptGround& ground, const std::string& target, const std::string& arrives,
                const std::string& audited) {
    ground.attempt(ground.tls(), {"h1 " + target, request("GET " + target), arrives, audited});
    Http2Peer peer(ground.tls("api.test", "h2"), Http2Peer::Role::client);
    peer.start();
    const auto stream = peer.new_stream();
    peer.send_fields(stream, {{":method", "GET"}, {":scheme", "https"}, {":authority", "api.test"}, {":path", target}},
                     true);
    peer.wait_for([&] { return peer.stream(stream).ended || peer.stream(stream).reset; });
    ground.judge(peer.wire(), {"h2 " + target, "", arrives, audited});
}

}  // namespace

TEST_CASE("request escape: paths that lead out of what is allowed, or hide that they do, never leave") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    for (const std::string path : {"/open/../shut", "/open/%2e%2e/shut", "/open/.%2E/shut", "/open/x/../../shut",
                                   "/open/../open/../shut", "//shut", "/%73hut", "/shut?/open/x", "/OPEN/x", "/Open/x",
                                   "/open", "/openx", "/open;x/y", "/open%2fx", "/open%3bx/y", "/open/.;/../shut"}) {
        const bool inside = path == "/open";
        try_target(*ground, path, inside ? request("GET /open") : "", inside ? "allow 200" : "deny 403");
    }
    for (const std::string path : {"/open/..%2fshut",
                                   "/open/..%5cshut",
                                   "/open/..\\shut",
                                   "/open/%2e%2e%2fshut",
                                   "/open/%252e%252e/shut",
                                   "/open/%25252e%25252e/shut",
                                   "/open/..;/shut",
                                   "/open/..;x=y/shut",
                                   "/open/..%00/shut",
                                   "/open/..%20/shut",
                                   "/open/..%0d%0a/shut",
                                   "/open/..%23/shut",
                                   "/open/%c0%ae%c0%ae/shut",
                                   "/open/%e0%80%ae/shut",
                                   "/open/%c0%af../shut",
                                   "/open/%u002e%u002e/shut",
                                   "/open/%",
                                   "/open/%2",
                                   "/open/%zz",
                                   "/open/%00",
                                   "/open/x%0a",
                                   "/open/x?a=%00",
                                   "/open/%ff",
                                   "/open/%ed%a0%80"})
        try_target(*ground, path, "", "deny 400");
    ground->settle();
}

TEST_CASE("request escape: every reading of a path that a deny rule names is denied") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    for (const std::string path :
         {"/open/shut",      "/open/shut/",      "/open/shut/x",   "/open/SHUT/x",   "/OPEN/../open/Shut",
          "/open/%73hut",    "/open/%53hut/x",   "/open//shut/x",  "//open/shut",    "/open/./shut",
          "/open/x/../shut", "/open/shut;a=b",   "/open;a/shut",   "/open/shut%3bx", "/open%2fshut/x",
          "/open/%2fshut",   "/open/shut%2fx",   "/open/shut%5cx", "/open\\shut",    "/open%5cshut",
          "/open/%2573hut",  "/open/%252573hut", "/open/shut?x=y", "/open/shut/%2e", "/open/x/%2e%2e/shut"})
        try_target(*ground, path, "", "deny 403");
    ground->settle();
}

TEST_CASE("request escape: paths that stay within what is allowed leave in the one form that was decided on") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    const std::pair<std::string, std::string> paths[] = {
        {"/open/x", "/open/x"},           {"/open/%78", "/open/x"},
        {"/open/y/../x", "/open/x"},      {"/open/./x", "/open/x"},
        {"//open/x", "/open/x"},          {"/shut/../open/x", "/open/x"},
        {"/%6fpen/x", "/open/x"},         {"/open/x?../shut", "/open/x?../shut"},
        {"/open/x%3f", "/open/x%3F"},     {"/open/a%2fb", "/open/a%2Fb"},
        {"/open/%c3%a9", "/open/%C3%A9"}, {"/open/x?%2e%2e", "/open/x?%2e%2e"},
        {"/open/shutx", "/open/shutx"},
    };
    for (const auto& [path, arrives] : paths)
        try_target(*ground, path, request("GET " + arrives), "allow 200 api.test GET " + arrives + ": allowed");
    ground->settle();
}

TEST_CASE("request escape: targets that are no path: fragments, absolute forms, stars, text") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    for (const std::string target : {"/open/x#/shut", "/open/\xc3\xa9", "open/x", "?x", "http://api.test/open/x",
                                     "file:///open/x", "https://evil.test/open/x", "///", "*/open/x"})
        ground->attempt(ground->tls(), {target, request("GET " + target), "", "deny 4"});
    ground->attempt(ground->tls(), {"OPTIONS *", request("OPTIONS *"), "", "deny 403 api.test OPTIONS *"});
    ground->attempt(ground->tls(), {"GET *", request("GET *"), "", "deny 400"});
    ground->attempt(ground->tls(), {"a space", request("GET /open/x /shut"), "", "deny 400"});
    ground->attempt(ground->tls(), {"17 KiB", request("GET /open/" + std::string(17'000, 'x')), "", "deny 400"});
    ground->settle();
}

TEST_CASE("request escape: a method by another name is judged as that method, or refused where it has two readings") {
    const auto ground = AttemptGround::make("[[allow]]\nhost = \"plain.test\"\npath = \"/get\"\nmethod = \"GET\"\n");
    if (!ground) return;
    const auto post = [](const std::string& field) {
        return request("POST /open/x", field + "\r\nContent-Length: 0\r\n");
    };
    for (const std::string field :
         {"X-HTTP-Method-Override: DELETE", "x-http-method: delete", "X-Method-Override: Delete",
          "X-HTTP-Method-Override: GET\r\nX-HTTP-Method-Override: DELETE",
          "X-HTTP-Method: DELETE\r\nX-HTTP-Method: GET"})
        ground->attempt(ground->tls(), {field, post(field), "", "deny 403 api.test POST /open/x"});
    for (const std::string field :
         {"X-HTTP-Method-Override: DELETE, GET", "X-HTTP-Method-Override: GET, DELETE",
          "X-HTTP-Method-Override: DELETE;x", "X-HTTP-Method-Override: \"DELETE\"", "X-HTTP-Method-Override:",
          "X_HTTP_METHOD_OVERRIDE: DELETE", "X-HTTP_Method-Override: DELETE", "X_Method_Override: DELETE",
          "X-Original-URL: /open/shut", "X-Rewrite-URL: /shut", "X_Original_URL: /open/shut", "X_Rewrite-URL: /shut"})
        ground->attempt(ground->tls(), {field, post(field), "", "deny 400 api.test POST /open/x"});
    ground->attempt(ground->tls(),
                    {"_method in the query", request("POST /open/x?a=b&_method=DELETE", "Content-Length: 0\r\n"), "",
                     "deny 403 api.test POST /open/x?a=b&_method=DELETE"});
    ground->attempt(ground->tls(),
                    {"_method escaped", request("POST /open/x?%5Fmethod=%44ELETE", "Content-Length: 0\r\n"), "",
                     "deny 403 api.test POST"});
    ground->attempt(ground->tls(), {"lower case", request("delete /open/x"), "", "deny 403 api.test delete /open/x"});
    ground->attempt(ground->tls(), {"TRACE", request("TRACE /open/x"), "", "deny 405"});
    ground->attempt(ground->tls(), {"an override that is allowed", post("X-HTTP-Method-Override: PATCH"),
                                    post("X-HTTP-Method-Override: PATCH"), "allow 200 api.test POST /open/x"});
    ground->settle();
}
