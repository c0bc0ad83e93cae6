// Clients that are set up to use a proxy, friendly and hostile, against the real gateway.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include "tests/support/sealed_gateway.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::vector<std::pair<std::string, std::string>> kNames = {{"api.test", "127.0.0.1"},
                                                                 {"other.test", "127.0.0.1"}};
const std::string kEstablished = "HTTP/1.1 200 Connection established\r\n\r\n";

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string allow(const std::string& host, std::uint16_t port, const std::string& more = "") {
    return fmt::format("[[allow]]\nhost = \"{}\"\nport = {}\nprivate = true\n{}", host, port, more);
}

WirePeer proxy(SealedGateway& gateway) { return gateway.connect("127.0.0.1", container::kExplicitProxyPort); }

std::string connect_head(const std::string& target, const std::string& fields = "") {
    return fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n{1}\r\n", target, fields);
}

/// Behind the answer to CONNECT.
WirePeer tunnel(SealedGateway& gateway, const std::string& host, std::uint16_t port) {
    auto client = proxy(gateway);
    client.send(connect_head(fmt::format("{}:{}", host, port), "Proxy-Connection: keep-alive\r\n"));
    REQUIRE(client.read_until("\r\n\r\n") == kEstablished);
    return client;
}

/// The same, and TLS; `server_name` "" sends none.
WirePeer tls_tunnel(SealedGateway& gateway, const std::string& host, std::uint16_t port,
                    const std::string& server_name) {
    auto client = tunnel(gateway, host, port);
    REQUIRE(client.start_tls(gateway.tls_client(server_name)) == "");
    return client;
}

std::string get(const std::string& target, const std::string& host, const std::string& fields = "") {
    return fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n{}\r\n", target, host, fields);
}

/// Answers every request with its head.
void echo(WirePeer& peer) {
    for (std::string head; !(head = peer.read_message()).empty();)
        peer.send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", head.size(), head));
}

tls::SslCtxPtr tls_for(const std::string& name) { return testing::make_server(SealedGateway::origin_ca().good(name)); }

/// The client's first flight, taken before it is sent.
std::string hello_of(SSL* ssl) {
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_do_handshake(ssl);
    char* data = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl), &data);
    return {data, static_cast<std::size_t>(size)};
}

}  // namespace

TEST_CASE("proxy: TLS through CONNECT is intercepted: what is allowed arrives, what is not is refused readably") {
    WireOrigin origin(echo, tls_for("api.test"));
    const auto gateway = SealedGateway::start(allow("api.test", origin.port(), "path = \"/x/**\"\n"), kNames);
    if (!gateway) return;
    const auto host = fmt::format("api.test:{}", origin.port());
    auto client = tls_tunnel(*gateway, "API.test", origin.port(), "api.test");
    client.send(get("/x/1", host));
    CHECK(holds(client.read_message(), "\r\n\r\nGET /x/1 HTTP/1.1\r\n"));
    client.send(get("/y", host));
    const auto refused = client.read_message();
    CHECK(refused.starts_with("HTTP/1.1 403 "));
    CHECK(holds(refused, "no rule allows GET /y on " + host));
    auto inner = tls_tunnel(*gateway, "api.test", origin.port(), "api.test");
    inner.send(connect_head("other.test:443"));  // it is no proxy inside
    CHECK(inner.read_message().starts_with("HTTP/1.1 405 "));
    CHECK(origin.connections() == 1);
    const auto events = gateway->finish();
    REQUIRE(events.size() == 3);
    for (const auto& event : events) {
        CHECK(event["event"] == "request");
        CHECK(event["scheme"] == "https");
        CHECK(event["host"] == "api.test");
        CHECK(event["port"] == origin.port());
        CHECK(event["original_dst"] == "127.0.0.1:15080");
    }
    CHECK(events[0]["decision"] == "allow");
    CHECK(events[1]["decision"] == "deny");
}

TEST_CASE("proxy: the inside is decided by what it proves, whatever name CONNECT gave") {
    WireOrigin origin(echo, tls_for("api.test"));
    const auto gateway = SealedGateway::start(allow("api.test", origin.port()), kNames);
    if (!gateway) return;
    const auto port = origin.port();
    const auto host = fmt::format("api.test:{}", port);
    auto fronted = tls_tunnel(*gateway, "api.test", port, "evil.test");
    fronted.send(get("/", fmt::format("evil.test:{}", port)));
    CHECK(fronted.read_message().starts_with("HTTP/1.1 403 "));
    auto misdirected = tls_tunnel(*gateway, "api.test", port, "evil.test");
    misdirected.send(get("/", host));
    CHECK(misdirected.read_message().starts_with("HTTP/1.1 421 "));
    CHECK(origin.connections() == 0);

    auto elsewhere = tls_tunnel(*gateway, "evil.test", port, "api.test");  // reaches api.test all the same
    elsewhere.send(get("/", host));
    CHECK(elsewhere.read_message().starts_with("HTTP/1.1 200 "));
    auto unnamed = tunnel(*gateway, "api.test", port);
    auto ssl = gateway->tls_client("");
    SSL_set1_host(ssl.get(), "api.test");  // without SNI the name of CONNECT counts
    REQUIRE(unnamed.start_tls(std::move(ssl)) == "");
    unnamed.send(get("/", host));
    CHECK(unnamed.read_message().starts_with("HTTP/1.1 200 "));
    CHECK(gateway->finish().size() == 4);
}

TEST_CASE("proxy: a hello that comes with the CONNECT is not lost") {
    WireOrigin origin(echo, tls_for("api.test"));
    const auto gateway = SealedGateway::start(allow("api.test", origin.port()), kNames);
    if (!gateway) return;
    const auto host = fmt::format("api.test:{}", origin.port());
    auto client = proxy(*gateway);
    auto ssl = gateway->tls_client("api.test");
    client.send(connect_head(host) + hello_of(ssl.get()));
    std::string answer(kEstablished.size(), '\0');  // and not a byte of what comes behind it
    REQUIRE(::recv(client.fd(), answer.data(), answer.size(), MSG_WAITALL) == ssize_t(answer.size()));
    CHECK(answer == kEstablished);
    REQUIRE(client.start_tls(std::move(ssl)) == "");
    client.send(get("/", host));
    CHECK(client.read_message().starts_with("HTTP/1.1 200 "));
}

TEST_CASE("proxy: opaque bytes go by the name of CONNECT, all of them, in their order") {
    const std::string greeting = "SSH-2.0-client\r\n" + std::string(50'000, 'a') + std::string(30'000, 'b') + "!";
    WireOrigin origin([&](WirePeer& peer) {
        peer.send("SSH-2.0-test\r\n");
        CHECK(peer.read_exactly(greeting.size()) == greeting);
        peer.send("done");
    });
    const auto gateway = SealedGateway::start(allow("api.test", origin.port()), kNames);
    if (!gateway) return;
    auto eager = proxy(*gateway);
    eager.send(connect_head(fmt::format("api.test:{}", origin.port())) + greeting);
    CHECK(eager.read_to_end() == kEstablished + "SSH-2.0-test\r\ndone");
    auto waiting = tunnel(*gateway, gateway->lookup("api.test"), origin.port());  // by its virtual address
    CHECK(waiting.read_until("\n") == "SSH-2.0-test\r\n");
    waiting.send(greeting);
    CHECK(waiting.read_to_end() == "done");
    for (const std::string other : {"other.test", "127.0.0.1", "192.0.2.1"}) {
        auto refused = tunnel(*gateway, other, origin.port());
        refused.send("SSH-2.0-client\r\n");
        CHECK(refused.is_reset());
    }
    CHECK(origin.connections() == 2);
    const auto events = gateway->finish();
    REQUIRE(events.size() == 5);
    for (const auto& event : events) {
        CHECK(event["event"] == "connection");
        CHECK(event["decision"] == (event["host"] == "api.test" ? "allow" : "deny"));
        CHECK(event["port"] == origin.port());
    }
}

TEST_CASE("proxy: plain HTTP through CONNECT is decided by Host, on the port of CONNECT") {
    WireOrigin origin(echo);
    const auto gateway = SealedGateway::start(allow("api.test", origin.port()), kNames);
    if (!gateway) return;
    const auto host = fmt::format("api.test:{}", origin.port());
    auto client = tunnel(*gateway, "api.test", origin.port());
    client.send(get("/", host) + get("/", fmt::format("other.test:{}", origin.port())) + get("/", "api.test:81"));
    CHECK(client.read_message().starts_with("HTTP/1.1 200 "));
    CHECK(client.read_message().starts_with("HTTP/1.1 403 "));
    CHECK(client.read_message().starts_with("HTTP/1.1 421 "));
    auto inner = tunnel(*gateway, "api.test", origin.port());
    inner.send(connect_head(host));
    CHECK(inner.read_message().starts_with("HTTP/1.1 405 "));
    CHECK(origin.connections() == 1);
}

TEST_CASE("proxy: requests with a URL are judged one by one, for several hosts on one connection") {
    WireOrigin api(echo), other(echo);
    const auto gateway = SealedGateway::start(
        allow("api.test", api.port(), "path = \"/x/**\"\n") + allow("other.test", other.port()), kNames);
    if (!gateway) return;
    const auto at_api = fmt::format("api.test:{}", api.port());
    const auto at_other = fmt::format("other.test:{}", other.port());
    auto client = proxy(*gateway);
    client.send(get("http://" + at_api + "/x/1?a=b", at_api,
                    "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic c2VjcmV0\r\nX-Stays: yes\r\n"));
    const auto seen = client.read_message();
    CHECK(holds(seen, "\r\n\r\nGET /x/1?a=b HTTP/1.1\r\nHost: " + at_api + "\r\n"));
    CHECK(holds(seen, "X-Stays: yes"));
    CHECK_FALSE(holds(seen, "Proxy-"));
    CHECK_FALSE(holds(seen, "c2VjcmV0"));
    client.send(get("http://" + at_other + "/y", at_other) + get("http://" + at_api + "/y", at_api) +
                get("HTTP://API.test:" + std::to_string(api.port()) + "/x/2", at_api));
    CHECK(holds(client.read_message(), "\r\n\r\nGET /y HTTP/1.1\r\nHost: " + at_other + "\r\n"));
    const auto refused = client.read_message();
    CHECK(refused.starts_with("HTTP/1.1 403 "));
    CHECK(holds(refused, "GET http://" + at_api + "/y\n"));
    CHECK(holds(client.read_message(), "\r\n\r\nGET /x/2 HTTP/1.1\r\n"));
    client.send(get("http://evil.test/", "evil.test"));
    CHECK(client.read_message().starts_with("HTTP/1.1 403 "));
    client.send(fmt::format("OPTIONS http://{0} HTTP/1.1\r\nHost: {0}\r\n\r\n", at_other));  // of the whole server
    CHECK(holds(client.read_message(), "\r\n\r\nOPTIONS * HTTP/1.1\r\n"));
    client.send(connect_head(at_other) + get("/inside", at_other));  // and a tunnel at the end
    CHECK(client.read_until("\r\n\r\n") == kEstablished);
    CHECK(holds(client.read_message(), "\r\n\r\nGET /inside HTTP/1.1\r\n"));
    CHECK(api.connections() == 1);
    const auto events = gateway->finish();
    REQUIRE(events.size() == 7);
    CHECK(events[1]["host"] == "other.test");
    CHECK(events[2]["decision"] == "deny");
    CHECK(events[4]["host"] == "evil.test");
    CHECK(events[4]["port"] == 80);
}

TEST_CASE("proxy: a request that says two things, or not where it goes, is refused; nothing is dialled") {
    WireOrigin origin([](WirePeer&) { CHECK(false); });
    const auto gateway = SealedGateway::start(
        allow("api.test", origin.port()) + "[[allow]]\nhost = \"127.0.0.1\"\nport = [80, 15080]\n", kNames);
    if (!gateway) return;
    const auto at = fmt::format("api.test:{}", origin.port());
    const struct {
        std::string request, status, says;
    } rows[] = {
        {get("http://" + at + "/", "other.test"), "400", "different authorities"},
        {get("http://" + at + "/", "api.test"), "400", "different authorities"},
        {get("http://api.test/", at), "421", "Host names port"},
        {"GET http://" + at + "/ HTTP/1.1\r\n\r\n", "400", "without Host"},
        {"GET http://" + at + "/ HTTP/1.1\r\nHost: " + at + "\r\nHost: other.test\r\n\r\n", "400",
         "more than one Host"},
        {get("http://user@" + at + "/", at), "400", ""},
        {get("http://" + at + ":1/", at), "400", ""},
        {get("http://api.test:0/", "api.test:0"), "400", "not a port"},
        {get("http:///x", ""), "400", ""},
        {get("https://" + at + "/", at), "400", "takes CONNECT"},
        {get("ftp://" + at + "/", at), "400", "not of HTTP"},
        {get(at, at), "400", "this port is a proxy"},
        {get("/", "127.0.0.1:15080"), "400", "this port is a proxy"},
        {get("/http://" + at + "/", at), "400", "this port is a proxy"},
        {"OPTIONS * HTTP/1.1\r\nHost: " + at + "\r\n\r\n", "400", "this port is a proxy"},
        {"TRACE http://" + at + "/ HTTP/1.1\r\nHost: " + at + "\r\n\r\n", "405", "TRACE"},
        {get("http://127.0.0.1:15080/", "127.0.0.1:15080"), "403", "loopback"},  // itself
    };
    for (const auto& row : rows) {
        CAPTURE(row.request);
        auto client = proxy(*gateway);
        client.send(row.request);
        const auto answer = client.read_message();
        CHECK(answer.substr(9, 3) == row.status);
        CHECK(holds(answer, row.says));
    }
    CHECK(origin.connections() == 0);
    const auto events = gateway->finish();
    CHECK(events.size() == std::size(rows));
    for (const auto& event : events) CHECK(event["decision"] == "deny");
}

TEST_CASE("proxy: a CONNECT that is refused ends the connection, and what came behind it is read as nothing") {
    WireOrigin origin([](WirePeer&) { CHECK(false); });
    const auto gateway = SealedGateway::start(allow("api.test", origin.port()), kNames);
    if (!gateway) return;
    const auto at = fmt::format("api.test:{}", origin.port());
    const struct {
        std::string head, status, says;
    } rows[] = {
        {connect_head(at, "Content-Length: 5\r\n"), "400", "CONNECT with a body"},
        {connect_head(at, "Transfer-Encoding: chunked\r\n"), "400", "CONNECT with a body"},
        {connect_head(at, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "400", ""},
        {connect_head(at, "Transfer-Encoding: xchunked\r\n"), "400", ""},
        {connect_head("api.test"), "400", "not host:port"},
        {connect_head("api.test:"), "400", "not host:port"},
        {connect_head("api.test:0"), "400", "not host:port"},
        {connect_head("api.test:65536"), "400", "not host:port"},
        {connect_head("api.test:+80"), "400", "not host:port"},
        {connect_head(at + "/"), "400", "not host:port"},
        {connect_head("http://" + at), "400", "not host:port"},
        {connect_head("user@" + at), "400", "not host:port"},
        {connect_head(at + ":80"), "400", "not host:port"},
        {connect_head(":443"), "400", "not host:port"},
        {connect_head("2001:db8::1:443"), "400", "not host:port"},
        {connect_head("[2001:db8::1"), "400", "not host:port"},
        {connect_head("2130706433:80"), "400", "not host:port"},  // 127.0.0.1 to some
        {connect_head("/"), "400", "not host:port"},
        {"CONNECT " + at + " HTTP/1.1\r\nHost: " + at + "\r\nHost: other.test\r\n\r\n", "400", "more than one Host"},
        {connect_head("mail.test:25"), "403", "no rule names mail.test:25"},
        {connect_head("127.0.0.1:15080"), "403", "CONNECT 127.0.0.1:15080"},  // itself
        {connect_head("[::1]:15080"), "403", "CONNECT [::1]:15080"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.head);
        auto client = proxy(*gateway);
        client.send(row.head + get("http://" + at + "/smuggled", at) + get("/smuggled", at));
        const auto all = client.read_to_end();
        CHECK(all.substr(9, 3) == row.status);
        CHECK(holds(all, row.says));
        CHECK(all.find("HTTP/1.1 ", 9) == std::string::npos);  // one answer only
        CHECK(holds(all, "\r\nConnection: close\r\n"));
        CHECK_FALSE(holds(all, "smuggled"));
    }
    CHECK(origin.connections() == 0);
    const auto events = gateway->finish();
    CHECK(events.size() == std::size(rows));
    for (const auto& event : events) CHECK(event["decision"] == "deny");
}

TEST_CASE(
    "proxy: clients that are not exact are served where that is clear: no Host, the proxy's own, a default port") {
    WireOrigin origin(echo), web(echo);
    const auto gateway = SealedGateway::start(allow("api.test", origin.port()) +
                                                  "[[route]]\nhost = \"web.test\"\nto = \"http://127.0.0.1:" +
                                                  std::to_string(web.port()) + "\"\n[[allow]]\nhost = \"web.test\"\n",
                                              kNames);
    if (!gateway) return;
    const auto at = fmt::format("api.test:{}", origin.port());
    for (const std::string& head : {"CONNECT " + at + " HTTP/1.0\r\n\r\n", "CONNECT " + at + " HTTP/1.1\r\n\r\n",
                                    "CONNECT " + at + " HTTP/1.1\r\nHost: 127.0.0.1:15080\r\n\r\n",
                                    "CONNECT " + at + " HTTP/1.1\r\nHost: api.test\r\nContent-Length: 0\r\n\r\n"}) {
        auto client = proxy(*gateway);
        client.send(head);
        CHECK(client.read_until("\r\n\r\n") == kEstablished);
        client.send(get("/in", at));
        CHECK(holds(client.read_message(), "GET /in HTTP/1.1"));
    }
    auto old = proxy(*gateway);
    old.send("GET http://" + at + " HTTP/1.0\r\n\r\n");
    CHECK(holds(old.read_to_end(), "\r\n\r\nGET / HTTP/1.1\r\n"));
    auto explicit_port = proxy(*gateway);
    explicit_port.send(get("http://web.test:80/a", "web.test") + get("http://web.test/b", "web.test:80"));
    CHECK(holds(explicit_port.read_message(), "GET /a HTTP/1.1"));
    CHECK(holds(explicit_port.read_message(), "GET /b HTTP/1.1"));
    explicit_port.send("garbage\r\n\r\n");
    CHECK(explicit_port.read_message().starts_with("HTTP/1.1 400 "));
    CHECK(gateway->finish().back()["host"] == "127.0.0.1");  // and not that of the request before
}

TEST_CASE("proxy: IPv6, as the way to it and as where to go") {
    const auto gateway = SealedGateway::start("[[allow]]\nhost = \"api.test\"\n", kNames);
    if (!gateway) return;
    auto client = gateway->connect("::1", container::kExplicitProxyPort);
    client.send(connect_head("[2001:DB8::7]:443"));
    REQUIRE(client.read_until("\r\n\r\n") == kEstablished);
    REQUIRE(client.start_tls(gateway->tls_client("")) == "");
    client.send(get("/", "[2001:db8::7]"));
    CHECK(holds(client.read_message(), "no rule names [2001:db8::7]:443"));
    auto plain = gateway->connect("::1", container::kExplicitProxyPort);
    plain.send("GET http://[2001:db8::7]/ HTTP/1.0\r\n\r\n");
    CHECK(holds(plain.read_to_end(), "no rule names [2001:db8::7]:80"));
    const auto events = gateway->finish();
    REQUIRE(events.size() == 2);
    for (const auto& event : events) {
        CHECK(event["host"] == "2001:db8::7");
        CHECK(event["original_dst"] == "[::1]:15080");
    }
}

TEST_CASE("proxy: a head that is too long, too slow or not HTTP is answered and cut off; silence is only cut off") {
    session::TimeLimits limits;
    limits.hello = std::chrono::seconds(1);
    limits.head = std::chrono::seconds(1);
    const auto gateway = SealedGateway::start("[[allow]]\nhost = \"api.test\"\n", kNames, limits);
    if (!gateway) return;
    auto silent = proxy(*gateway);
    auto slow = proxy(*gateway);
    slow.send("CONNECT api.test:443 HTTP/1.1\r\nHo");
    auto mute = proxy(*gateway);  // a tunnel, and nothing in it
    mute.send(connect_head("api.test:443"));
    auto half = proxy(*gateway);
    half.send(connect_head("api.test:443") + std::string("\x16\x03\x01\x02", 4));
    auto longest = proxy(*gateway);
    longest.send("CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\nX: " + std::string(200'000, 'x'));
    CHECK(longest.read_to_end().starts_with("HTTP/1.1 431 "));
    for (const std::string& bytes :
         {std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), hello_of(gateway->tls_client("api.test").get()),
          std::string("\x05\x01\x00", 3) + "\r\n\r\n"}) {  // SOCKS
        auto other = proxy(*gateway);
        other.send(bytes);
        CHECK(other.read_to_end().starts_with("HTTP/1.1 400 "));
    }
    CHECK(slow.read_to_end().starts_with("HTTP/1.1 408 "));
    CHECK(mute.read_until("\r\n\r\n") == kEstablished);
    CHECK(mute.is_reset());
    CHECK(half.read_until("\r\n\r\n") == kEstablished);
    CHECK(half.is_reset());
    CHECK(silent.read_to_end() == "");
    const auto events = gateway->finish();
    CHECK(events.size() == 7);
    for (const auto& event : events) CHECK(event["decision"] == "deny");
}
