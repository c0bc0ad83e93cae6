// Ways to turn an exchange into something that is not looked at: CONNECT, h2c, Upgrade, a 101 that nobody asked for.

#include <doctest/doctest.h>

#include "tests/support/attempts.hpp"

using namespace sallyport::test;

namespace {

const std::string kGet = request("GET /open/x");
const std::string kShut = request("GET /shut");
const std::string kKey = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const std::string kWebSocket = "Connection: Upgrade\r\nUpgrade: websocket\r\n" + kKey;
const std::string kAsks = kKey + "Connection: Upgrade\r\nUpgrade: websocket\r\n";

}  // namespace

TEST_CASE("request escape: CONNECT, h2c and upgrades to anything but WebSocket open no tunnel") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const std::string h2c =
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    const Attempt rows[] = {
        {"CONNECT to another host", request("CONNECT evil.test:443", "", "", "evil.test:443") + kGet, "", "deny 405"},
        {"CONNECT to this host", request("CONNECT api.test:443", "", "", "api.test:443") + kGet, "", "deny 405"},
        {"CONNECT with a path", request("CONNECT /open/x"), "", "deny 405"},
        {"connect in lower case", request("connect api.test:443"), "", "deny 4"},
        {"h2c, and HTTP/2 behind it", request("GET /open/x", h2c) + preface, kGet, "deny 400"},
        {"h2c, denied", request("GET /shut", h2c) + preface, "", "deny 403 api.test GET /shut"},
        {"h2c with a body", request("POST /open/x", h2c + "Content-Length: 5\r\n", "PRI *") + kGet,
         request("POST /open/x", "Content-Length: 5\r\n", "PRI *") + kGet, "allow 200"},
        {"another protocol, with chunks",
         request("POST /open/x", "Connection: Upgrade\r\nUpgrade: irc\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n") +
             kGet,
         "", "deny 501"},
        {"TLS within TLS", request("GET /open/x", "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n"), "", "deny 501"},
        {"two protocols", request("GET /open/x", "Connection: Upgrade\r\nUpgrade: h2c, irc\r\n"), "", "deny 501"},
        {"an offer that is not taken",
         request("GET /open/x", "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: irc\r\n"), kGet, "allow 200"},
        {"HTTP/3", request("GET /open/x", "Connection: Upgrade\r\nUpgrade: HTTP/3.0\r\n"), "", "deny 501"},
        {"WebSocket, denied", request("GET /shut", kWebSocket), "", "deny 403 api.test GET /shut"},
        {"WebSocket with a body", request("GET /open/x", kWebSocket + "Content-Length: 5\r\n", "hello"), "",
         "deny 400"},
        {"WebSocket by POST", request("POST /open/x", kWebSocket), "", "deny 400"},
        {"WebSocket that Connection does not announce", request("GET /open/x", "Upgrade: websocket\r\n" + kKey), "",
         "deny 400"},
        {"WebSocket in HTTP/1.0", "GET /open/x HTTP/1.0\r\nHost: api.test\r\n" + kWebSocket + "\r\n", "", "deny 400"},
        // The origin answers 200: what was meant for the tunnel are requests.
        {"requests behind a handshake", request("GET /open/x", kWebSocket) + kShut + kGet,
         request("GET /open/x", kAsks) + kGet, "deny 403 api.test GET /shut"},
    };
    for (const auto& row : rows) ground->attempt(ground->tls(), row);
    ground->settle();
}

TEST_CASE(
    "request escape: a 101 that is not the answer to a handshake is no tunnel, whatever the client says behind it") {
    for (const std::string fields :
         {"Connection: Upgrade\r\nUpgrade: websocket\r\n", "Connection: Upgrade\r\nUpgrade: h2c\r\n", "",
          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"}) {
        CAPTURE(fields);
        const auto ground = AttemptGround::make("", {}, "HTTP/1.1 101 Switching Protocols\r\n" + fields + "\r\n");
        if (!ground) return;
        const std::string tunnelled = "SSH-2.0-OpenSSH_9.2\r\n";
        ground->attempt(ground->tls(), {"unasked", kGet + tunnelled, kGet, "allow 502 api.test GET /open/x"});
        ground->attempt(ground->tls(),
                        {"unasked, for a POST", request("POST /open/x", "Content-Length: 5\r\n", "hello"),
                         request("POST /open/x", "Content-Length: 5\r\n", "hello"), "allow 502"});
        if (fields.find("Accept") == std::string::npos)
            ground->attempt(ground->tls(),
                            {"to a handshake, without its proof", request("GET /open/x", kWebSocket) + tunnelled,
                             request("GET /open/x", kAsks), "allow 502 api.test GET /open/x"});
        ground->settle();
    }
}

TEST_CASE("request escape: an allowed redirect is followed by the client alone, and judged where it leads") {
    const auto answer = [](const std::string& to) {
        return "HTTP/1.1 302 Found\r\nLocation: " + to + "\r\nContent-Length: 0\r\n\r\n";
    };
    const auto ground = AttemptGround::make("[[allow]]\nhost = \"169.254.169.254\"\n", {},
                                            answer("http://169.254.169.254/latest/meta-data/"));
    if (!ground) return;
    ground->attempt(ground->tls(), {"the redirect", kGet, kGet, "allow 302 api.test GET /open/x"});
    ground->attempt(ground->gateway().connect("169.254.169.254", 80),
                    {"where it leads, allowed by a rule without private",
                     request("GET /latest/meta-data/", "", "", "169.254.169.254"), "", "private = true"});
    ground->attempt(
        ground->gateway().connect("10.0.0.1", 80),
        {"where no rule leads", request("GET /", "", "", "10.0.0.1"), "", "deny 403 10.0.0.1 GET /: no rule names"});
    ground->settle();
}
