#include "gateway/session/gate.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

#include "gateway/session/authority.hpp"
#include "gateway/wire/http1_parser.hpp"
#include "tests/support/policy_text.hpp"

using namespace sallyport;
using namespace sallyport::session;

namespace {

constexpr const char* kPolicy = R"(
[[allow]]
host = "api.test"
path = "/v1/**"
method = ["GET", "POST"]

[[allow]]
host = "api.test"
path = "/v1/**"
method = "DELETE"
private = true

[[allow]]
host = "open.test"

[[allow]]
host = "2001:db8::1"

[[deny]]
host = "open.test"
path = "/closed/**"

[[secret]]
name = "key"
host = "api.test"
header = "x-api-key"
placeholder = "dummy-key-value"
value = { env = "SALLYPORT_GATE_TEST" }

[[route]]
host = "open.test"
to = "http://127.0.0.1:8080"
)";

Rules rules(const std::string& toml = kPolicy) {
    ::setenv("SALLYPORT_GATE_TEST", "real-key", 1);
    Rules made{policy::policy_of(toml), nullptr};
    made.secrets = std::make_shared<secrets::Store>(made.policy);
    return made;
}

wire::RequestHead head_of(const std::string& request) {
    wire::Http1Parser<true> parser;
    const auto used = parser.put(request);
    REQUIRE(used);
    REQUIRE(parser.head_done());
    return parser.head();
}

const ConnectionFacts kTls{true, "api.test", 443};

/// "permit", or status and reason of the refusal.
struct Judged {
    std::variant<Permit, Refusal> result;
    wire::RequestHead head;

    const Permit& permit() const { return std::get<Permit>(result); }
    const Refusal& refusal() const { return std::get<Refusal>(result); }
    unsigned status() const { return std::holds_alternative<Permit>(result) ? 0 : refusal().status; }
};

Judged judged(const std::string& request, const ConnectionFacts& facts = kTls) {
    static const Rules kRules = rules();
    auto head = head_of(request);
    auto result = judge(kRules, facts, head);
    return {std::move(result), std::move(head)};
}

std::string get(const std::string& fields = "", const std::string& target = "/v1/x",
                const std::string& method = "GET") {
    return method + " " + target + " HTTP/1.1\r\nHost: api.test\r\n" + fields + "\r\n";
}

}  // namespace

TEST_CASE("gate: what is permitted goes on as it was decided on, with the secret and without connection fields") {
    const auto passed =
        judged(get("X-Api-Key: dummy-key-value\r\nConnection: X-Api-Key, X-Hop, Host, keep-alive\r\nX-Hop: 1\r\n"
                   "TE: trailers, deflate\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nX-Stays: 1\r\n",
                   "/v1/a/../%62?q=%41"));
    REQUIRE(passed.status() == 0);
    const auto& permit = passed.permit();
    CHECK(passed.head.target == "/v1/b?q=%41");
    CHECK(permit.target == "/v1/b?q=%41");
    CHECK(permit.rule == "sallyport.toml:2");
    CHECK(permit.secrets == std::vector<std::string>{"key"});
    CHECK(permit.way.origin.host == "api.test");
    CHECK(permit.way.tls);
    CHECK_FALSE(permit.way.private_addresses);
    const auto& fields = passed.head.fields;
    CHECK(wire::find(fields, "x-api-key") == "real-key");
    CHECK(wire::find(fields, "host") == "api.test");
    CHECK(wire::find(fields, "te") == "trailers");
    CHECK(wire::find(fields, "x-stays") == "1");
    for (const auto* gone : {"connection", "x-hop", "upgrade", "http2-settings"}) CHECK_FALSE(wire::find(fields, gone));
}

TEST_CASE("gate: a table of requests on a TLS connection for api.test:443") {
    struct Row {
        std::string request;
        unsigned status;  // 0: permitted
    };
    const Row rows[] = {
        {get(), 0},
        {get("", "https://api.test/v1/x"), 0},
        {get("", "HTTPS://API.Test/v1/x"), 0},
        {get("", "https://api.test:443/v1/x"), 0},  // the default port, written out
        {get("", "https://api.test:444/v1/x"), 400},
        {"GET /v1/x HTTP/1.1\r\nHost: API.TEST.\r\n\r\n", 0},
        {"GET /v1/x HTTP/1.1\r\nHost: api.test:443\r\n\r\n", 0},
        {"GET /v1/x HTTP/1.0\r\n\r\n", 0},
        {"GET /v1/x HTTP/1.1\r\n\r\n", 400},
        {"GET /v1/x HTTP/1.1\r\nHost: \r\n\r\n", 400},
        {"GET /v1/x HTTP/1.1\r\nHost: user@api.test\r\n\r\n", 400},
        {"GET /v1/x HTTP/1.1\r\nHost: api.test:4430000\r\n\r\n", 400},
        {"GET /v1/x HTTP/1.1\r\nHost: api.test:8443\r\n\r\n", 421},
        {"GET /v1/x HTTP/1.1\r\nHost: open.test\r\n\r\n", 421},
        {"GET /v1/x HTTP/1.0\r\nHost: open.test\r\n\r\n", 421},
        {"GET /v1/x HTTP/1.1\r\nHost: api\"test\r\n\r\n", 400},
        {"GET /v1/x HTTP/1.1\r\nHost: api.test\x8c\r\n\r\n", 400},
        {get("", "http://api.test/v1/x"), 400},
        {get("", "https://open.test/v1/x"), 400},
        {get("", "https://open.test@api.test/v1/x"), 400},
        {get("", "https://api\"test/v1/x"), 400},
        {get("", "https*://api.test/v1/x"), 400},
        {get("", "api.test:443"), 400},
        {get("", "/v1/%zz"), 400},
        {get("", "/v1/x#f"), 400},
        {get("", "/other"), 403},
        {get("", "/v1/../other"), 403},
        {get("", "/v1/%2e%2e/other"), 403},
        {get("", "/v1/..%2f..%2fother"), 400},
        {get("", "/v1/x", "PUT"), 403},
        {get("", "/v1/x", "get"), 403},
        {get("", "/v1/x", "TRACE"), 405},
        {get("", "api.test:443", "CONNECT"), 405},
        {get("Upgrade: h2c\r\n"), 0},  // an offer, not taken
        {get("Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n"), 501},
        {get("Expect: 200-ok\r\n"), 417},
        {get("X-HTTP-Method-Override: POST\r\n"), 0},
        {get("X-HTTP-Method-Override: PUT\r\n"), 403},
        {get("x-method-override: PATCH\r\n"), 403},
    };
    for (const auto& row : rows) {
        CAPTURE(row.request);
        const auto done = judged(row.request);
        CHECK(done.status() == row.status);
        if (done.status() != 0) CHECK(done.refusal().destination.port == 443);
    }
}

TEST_CASE("gate: a WebSocket handshake is judged as the GET that it is, and goes on as one") {
    const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const std::string asks = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
    const auto passed = judged(get(asks + key +
                                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\n"
                                   "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
                                   "X-Api-Key: dummy-key-value\r\n"));
    REQUIRE(passed.status() == 0);
    CHECK(passed.head.upgrade == "websocket");
    CHECK(passed.head.offered == "a, b,");
    const auto& fields = passed.head.fields;
    CHECK(wire::find(fields, "Sec-WebSocket-Key") == "dGhlIHNhbXBsZSBub25jZQ==");
    CHECK(wire::find(fields, "Sec-WebSocket-Version") == "13");
    CHECK(wire::find(fields, "Sec-WebSocket-Protocol") == "a, b");
    CHECK_FALSE(wire::find(fields, "Sec-WebSocket-Extensions"));  // it gets a secret, which could come back compressed
    CHECK(wire::find(fields, "X-Api-Key") == "real-key");
    for (const auto* gone : {"Connection", "Upgrade"}) CHECK_FALSE(wire::find(fields, gone));
    CHECK(judged(get("", "/v1/x")).head.upgrade == "");
    CHECK(judged(get(asks + key, "/other")).status() == 403);

    struct Row {
        std::string request;
        unsigned status;
    };
    const Row rows[] = {
        {get(asks + key), 0},
        {get("Connection: upgrade\r\nUpgrade: h2c, websocket\r\n" + key),
         0},  // the origin is offered the one that we know
        {get("Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n" + key), 0},
        {get("Upgrade: websocket\r\n" + key), 400},
        {get("Connection: close\r\nUpgrade: websocket\r\n" + key), 400},
        {"GET /v1/x HTTP/1.0\r\nHost: api.test\r\n" + asks + key + "\r\n", 400},
        {get(asks), 400},
        {get(asks + key + key), 400},
        {get(asks + "Sec-WebSocket-Key: c2hvcnQ=\r\n"), 400},
        {get("Connection: Upgrade, Sec-WebSocket-Key\r\nUpgrade: websocket\r\n" + key), 400},
        {get(asks + key + "Content-Length: 5\r\n"), 400},
        {get(asks + key + "Transfer-Encoding: chunked\r\n"), 400},
        {get(asks + key, "/v1/x", "POST"), 400},
        {get("Connection: Upgrade\r\nUpgrade: websocket/13\r\n" + key), 501},
    };
    for (const auto& row : rows) {
        CAPTURE(row.request);
        const auto done = judged(row.request);
        CHECK(done.status() == row.status);
        CHECK((done.status() != 0 || done.head.upgrade == "websocket"));
    }
}

TEST_CASE("gate: an override header cannot borrow the private addresses of the rule for its method") {
    const auto borrowed = judged(get("X-HTTP-Method-Override: DELETE\r\n"));
    REQUIRE(borrowed.status() == 0);
    CHECK_FALSE(borrowed.permit().way.private_addresses);
    CHECK(judged(get("", "/v1/x", "DELETE")).permit().way.private_addresses);
}

TEST_CASE("gate: plain HTTP is decided by Host; without TLS no secret and no placeholder") {
    const ConnectionFacts plain{false, "192.0.2.7", 80};
    CHECK(judged("GET /x HTTP/1.1\r\nHost: open.test\r\n\r\n", plain).status() == 0);
    CHECK(judged("GET /closed/x HTTP/1.1\r\nHost: open.test\r\n\r\n", plain).status() == 403);
    CHECK(judged("GET / HTTP/1.0\r\n\r\n", plain).status() == 403);  // for the address, which no rule names
    CHECK(judged("GET /v1/x HTTP/1.1\r\nHost: api.test\r\n\r\n", plain).status() == 403);
    const auto routed = judged("GET /x HTTP/1.1\r\nHost: open.test\r\n\r\n", plain);
    CHECK(routed.permit().way.origin.port == 8080);
    CHECK_FALSE(routed.permit().way.tls);
    CHECK(wire::find(routed.head.fields, "Host") == "127.0.0.1:8080");
    const auto astray = judged("GET /x?k=dummy-key-value HTTP/1.1\r\nHost: open.test\r\n\r\n", plain);
    CHECK(astray.status() == 403);
    CHECK_FALSE(astray.refusal().alarm.empty());
    CHECK(astray.refusal().why.find("real-key") == std::string::npos);
}

TEST_CASE("authority: host and port in parts, IPv6 in brackets, nothing else") {
    CHECK(parse_authority("Example.COM:8080")->host == "example.com");
    CHECK(parse_authority("Example.COM:8080")->port_text == "8080");
    CHECK(parse_authority("[2001:DB8::1]")->host == "2001:db8::1");
    CHECK(parse_authority("[2001:db8::1]:443")->port_text == "443");
    for (const char* bad :
         {"", ":80", "a:", "a:b", "a:+1", "a:1:2", "a b", "a/b", "a@b", "[::1", "[::1]x:1", "a]:1", "a,b"}) {
        CAPTURE(bad);
        CHECK(parse_authority(bad).has_error());
    }
    const auto v6 = judged("GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", {true, "2001:db8::1", 443});
    REQUIRE(v6.status() == 0);
    CHECK(wire::find(v6.head.fields, "Host") == "[2001:db8::1]");
    CHECK(judged("GET / HTTP/1.1\r\nHost: 2001:db8::1\r\n\r\n", {true, "2001:db8::1", 443}).status() == 400);
}

TEST_CASE("authority: a URL as target and Host name the same host and port, written out or not") {
    const ConnectionFacts plain{false, "192.0.2.7", 80};
    const auto status = [&](const std::string& target, const std::string& host) {
        return judged("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n", plain).status();
    };
    CHECK(status("http://open.test/x", "open.test") == 0);
    CHECK(status("http://open.test:80/x", "open.test") == 0);
    CHECK(status("http://open.test/x", "open.test:80") == 0);
    CHECK(status("http://open.test:81/x", "open.test") == 400);
    CHECK(status("http://open.test:81/x", "open.test:81") == 421);  // not the port of the connection
    CHECK(status("http://open.test/x", "open.test:81") == 421);
    CHECK(status("http://open.test/x", "api.test") == 400);
    CHECK(judged("GET http://open.test/x HTTP/1.0\r\n\r\n", plain).status() == 0);
    CHECK(judged("GET http://open.test:81/x HTTP/1.0\r\n\r\n", plain).status() == 421);
    CHECK(judged("GET http://evil.test/x HTTP/1.0\r\n\r\n", plain).status() == 403);
}

TEST_CASE("gate: the whole server is asked for by OPTIONS alone, with a star or with a URL without a path") {
    const ConnectionFacts plain{false, "192.0.2.7", 80};
    const auto target = [&](const std::string& request_line) {
        const auto done = judged(request_line + " HTTP/1.1\r\nHost: open.test\r\n\r\n", plain);
        return done.status() == 0 ? done.head.target : std::to_string(done.status());
    };
    CHECK(target("OPTIONS *") == "*");
    CHECK(target("OPTIONS http://open.test") == "*");
    CHECK(target("OPTIONS http://open.test/") == "/");
    CHECK(target("OPTIONS http://open.test?a=b") == "/?a=b");
    CHECK(target("GET http://open.test") == "/");
    CHECK(target("GET *") == "400");
    CHECK(target("options *") == "400");
    CHECK(target("OPTIONS *x") == "400");
    CHECK(target("OPTIONS */x") == "400");
    CHECK(judged("OPTIONS * HTTP/1.1\r\nHost: api.test\r\n\r\n").status() == 403);  // no rule's path
}

TEST_CASE("gate: what was meant for a proxy ends here") {
    const auto done = judged(get("Proxy-Authorization: Basic YTpi\r\nProxy-Connection: keep-alive\r\n"));
    REQUIRE(done.status() == 0);
    CHECK_FALSE(wire::find(done.head.fields, "Proxy-Authorization"));
    CHECK_FALSE(wire::find(done.head.fields, "Proxy-Connection"));
}

TEST_CASE("gate: a permit is judged again under other rules, as what it was given for") {
    const auto under = [](const std::string& toml, const std::string& request, const ConnectionFacts& facts = kTls) {
        const auto passed = judged(request, facts);
        REQUIRE(passed.status() == 0);
        return objection(rules(toml), passed.permit()).value_or("");
    };
    const std::string all = "[[allow]]\nhost = \"api.test\"\n";
    CHECK(under(all, get()) == "");
    CHECK(under(kPolicy, get()) == "");
    CHECK(under("", get()).find("no rule") != std::string::npos);
    CHECK(under(all + "[[deny]]\nhost = \"api.test\"\npath = \"/v1/**\"\n", get()).find("sallyport.toml:3") !=
          std::string::npos);
    CHECK(under(all + "method = \"POST\"\n", get()).starts_with("no rule allows GET /v1/x"));
    // The method that a field asks for counts as it did before.
    CHECK(
        under(all + "method = \"GET\"\n", get("X-HTTP-Method-Override: POST\r\n")).starts_with("no rule allows POST"));
    CHECK(under(all, get("", "/v1/x", "DELETE")) == "its rule no longer says private = true");
    CHECK(under(all + "private = true\n", get("", "/v1/x", "DELETE")) == "");
    const std::string route = "[[route]]\nhost = \"api.test\"\nto = \"https://other.test\"\n";
    CHECK(under(all + route, get()) == "requests to api.test go to another origin now");
    const ConnectionFacts open{true, "open.test", 443};
    const std::string to_open = "GET / HTTP/1.1\r\nHost: open.test\r\n\r\n";
    CHECK(under("[[allow]]\nhost = \"open.test\"\n", to_open, open) ==
          "requests to open.test go to another origin now");
    const std::string tls13 = "[[origin]]\nhost = \"api.test\"\nmin_tls = \"1.3\"\n";
    CHECK(under(all + tls13, get()) == "TLS to api.test is made otherwise now ([[origin]])");
    CHECK(under(all + "[[origin]]\nhost = \"other.test\"\nmin_tls = \"1.3\"\n", get()) == "");
}

TEST_CASE("gate: a permit has the options of the host that is dialled, where that is done in TLS") {
    const std::string policy =
        "[[allow]]\nhost = [\"api.test\", \"open.test\"]\n"
        "[[origin]]\nhost = [\"inner.test\", \"open.test\"]\nmin_tls = \"1.3\"\n"
        "[[route]]\nhost = \"api.test\"\nto = \"https://inner.test\"\n";
    const auto options_of = [&](const std::string& host, bool tls) {
        auto head = head_of("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
        const auto verdict = judge(rules(policy), {tls, host, std::uint16_t(tls ? 443 : 80)}, head);
        return std::get<Permit>(verdict).way.options;
    };
    CHECK(options_of("api.test", true));
    CHECK(options_of("api.test", false));  // the route makes it TLS
    CHECK(options_of("open.test", true));
    CHECK_FALSE(options_of("open.test", false));
}

TEST_CASE("gate: a stream is judged again under other rules") {
    const StreamPermit ssh{{"git.test", 22}, false, false, "", ""};
    const StreamPermit tls{{"git.test", 443}, true, true, "", ""};
    const auto under = [](const std::string& toml, const StreamPermit& permit) {
        return objection(Rules{policy::policy_of(toml), nullptr}, permit).value_or("");
    };
    const std::string ssh_rule = "[[allow]]\nhost = \"git.test\"\nport = 22\n";
    const std::string tls_rule = "[[allow]]\nhost = \"git.test\"\ntls = \"passthrough\"\n";
    CHECK(under(ssh_rule, ssh) == "");
    CHECK(under(tls_rule, ssh) != "");
    CHECK(under(tls_rule + "private = true\n", tls) == "");
    CHECK(under(tls_rule, tls) == "its rule no longer says private = true");
    CHECK(under("[[allow]]\nhost = \"git.test\"\nprivate = true\n", tls) != "");  // intercepted from now on
}
