// Lies about the name: in the hello, in Host, in :authority, in both. There is one name for a connection, in one form,
// and it is the one that is dialled.

#include <doctest/doctest.h>

#include "tests/support/attempts.hpp"

using namespace sallyport;
using namespace sallyport::test;
using namespace std::string_literals;

namespace {

std::string number(std::size_t value, int width) {
    std::string out;
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
    return out;
}

std::string sized(const std::string& text, int width) { return number(text.size(), width) + text; }

std::string extension(unsigned type, const std::string& body) { return number(type, 2) + sized(body, 2); }

std::string host_name(const std::string& name, char type = 0) { return type + sized(name, 2); }

std::string server_names(const std::string& list) { return extension(0, sized(list, 2)); }

std::string server_name(const std::string& name) { return server_names(host_name(name)); }

/// A ClientHello of TLS 1.2, whole but for what nobody gets to read.
std::string hello(const std::string& extensions) {
    const auto body = "\x03\x03"s + std::string(32, 'r') + sized("", 1) + sized("\xc0\x2f"s, 2) + sized("\0"s, 1) +
                      sized(extensions, 2);
    return "\x16\x03\x01"s + sized("\x01"s + sized(body, 3), 2);
}

int add_nothing(SSL*, unsigned, unsigned, const unsigned char** out, std::size_t* size, X509*, std::size_t, int*,
                void*) {
    static const std::string kOuter =
        "\0\0\x01\0\x01\x07"s + sized(std::string(32, 'k'), 2) + sized(std::string(144, 'p'), 2);
    *out = reinterpret_cast<const unsigned char*>(kOuter.data());
    *size = kOuter.size();
    return 1;
}

/// A client of api.test whose hello also carries an encrypted one, for who knows what.
tls::SslPtr ech_client(SealedGateway& gateway) {
    const auto plain = gateway.tls_client("api.test");
    SSL_CTX* context = SSL_get_SSL_CTX(plain.get());
    SSL_CTX_add_custom_ext(context, 0xfe0d, SSL_EXT_CLIENT_HELLO, add_nothing, nullptr, nullptr, nullptr, nullptr);
    tls::SslPtr ssl(SSL_new(context));
    SSL_set_connect_state(ssl.get());
    SSL_set_tlsext_host_name(ssl.get(), "api.test");
    return ssl;
}

}  // namespace

TEST_CASE("request escape: a hello whose name has no single meaning is reset; nothing is dialled") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    const auto api = host_name("api.test");
    const auto evil = host_name("evil.test");
    const std::string bad = "deny tls 192.0.2.7: ";
    const std::string no_name = "the server name in the hello is not a host name";
    const Attempt rows[] = {
        {"two names", hello(server_names(api + evil)), "", bad + "the server_name extension holds more than one name"},
        {"two names, the other way", hello(server_names(evil + api)), "", bad + "the server_name extension holds more"},
        {"the same name twice", hello(server_names(api + api)), "", bad + "the server_name extension holds more"},
        {"two extensions", hello(server_name("api.test") + server_name("evil.test")), "",
         bad + "an extension appears twice"},
        {"two extensions, the other way", hello(server_name("evil.test") + server_name("api.test")), "",
         bad + "an ext"},
        {"another type of name", hello(server_names(host_name("api.test", 1))), "",
         bad + "the server_name extension holds no"},
        {"an empty name", hello(server_name("")), "", bad + "the server_name extension holds no host name"},
        {"an empty list", hello(server_names("")), "", bad + "the server_name extension holds no host name"},
        {"an empty extension", hello(extension(0, "")), "", bad},
        {"a list longer than its extension", hello(extension(0, number(99, 2) + api)), "", bad},
        {"bytes behind the list", hello(extension(0, sized(api, 2) + "x")), "",
         bad + "the server_name extension has a wrong"},
        {"NUL", hello(server_name("api.test\0.evil.test"s)), "", bad + "the server name contains NUL"},
        {"300 bytes", hello(server_name(std::string(60, 'a') + std::string(60, '.') + std::string(180, 'b'))), "",
         no_name},
        {"a label of 64 bytes", hello(server_name(std::string(64, 'a') + ".wild.test")), "", no_name},
        {"16,000 bytes", hello(server_name(std::string(16'000, 'a'))), "", no_name},
        {"more than 16 KiB", hello(server_name(std::string(16'380, 'a'))), "", "deny tls"},
        {"a star", hello(server_name("*.wild.test")), "", no_name},
        {"a port", hello(server_name("api.test:443")), "", no_name},
        {"a URL", hello(server_name("https://api.test/")), "", no_name},
        {"userinfo", hello(server_name("evil.test@api.test")), "", no_name},
        {"spaces", hello(server_name(" api.test")), "", no_name},
        {"a line end", hello(server_name("api.test\r\nHost: evil.test")), "", no_name},
        {"two dots", hello(server_name("api..test")), "", no_name},
        {"two dots at the end", hello(server_name("api.test..")), "", no_name},
        {"a dot alone", hello(server_name(".")), "", no_name},
        {"a letter that looks like a", hello(server_name("\xd0\xb0pi.test")), "", no_name},
        {"an address as one number", hello(server_name("2130706433")), "", no_name},
        {"an address in hexadecimal", hello(server_name("0x7f.1")), "", no_name},
        {"an address in octal", hello(server_name("0177.0.0.1")), "", no_name},
        {"an address with a dot behind", hello(server_name("127.0.0.1.")), "", no_name},
        {"an address in brackets without colons", hello(server_name("[127.0.0.1]")), "", no_name},
        {"SSLv2", "\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"s + std::string(37, 'x'), "", "deny tcp 192.0.2.7: "},
        {"SSL 3.1 of another kind", "\x16\x02\x00\x00\x10"s + std::string(16, 'x'), "", "deny tcp 192.0.2.7: "},
        {"a hello, and then plain text", hello(server_name("api.test")) + request("GET /open/x"), "",
         "deny tls api.test: "},
        {"SSH on 443", "SSH-2.0-OpenSSH_9.2\r\n", "", "deny tcp 192.0.2.7: "},
        {"nothing known on 443", std::string(64, '\xff'), "", "deny tcp 192.0.2.7: "},
        {"plain HTTP on 443, denied", request("GET /shut"), "", "deny 403 api.test GET /shut"},
    };
    for (const auto& row : rows) ground->attempt(ground->plain(443), row);
    ground->settle();
}

TEST_CASE("request escape: on port 80 the same holds: TLS is TLS, anything unknown is reset") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    ground->attempt(ground->plain(80),
                    {"two names", hello(server_names(host_name("api.test") + host_name("evil.test"))), "",
                     "deny tls 192.0.2.7: the server_name extension holds more than one name"});
    ground->attempt(ground->plain(80), {"SSH", "SSH-2.0-OpenSSH_9.2\r\n", "", "deny tcp 192.0.2.7: "});
    auto tls = ground->gateway().connect_tls(AttemptGround::kAddress, 80, "evil.test");
    ground->attempt(std::move(tls), {"a name that nothing allows", request("GET /", "", "", "evil.test"), "",
                                     "deny 403 evil.test GET /: no rule names evil.test:80"});
    ground->settle();
}

TEST_CASE(
    "request escape: an encrypted hello changes nothing: the outer name is decided on, and its requests are read") {
    const auto ground = AttemptGround::make("[[allow]]\nhost = \"pinned.test\"\ntls = \"passthrough\"\n");
    if (!ground) return;
    auto client = ground->plain(443);
    REQUIRE(client.start_tls(ech_client(ground->gateway())) == "");
    const auto get = request("GET /open/x");
    ground->attempt(std::move(client), {"intercepted", get + request("GET /shut"), get, "deny 403 api.test GET /shut"});
    ground->attempt(ground->plain(443), {"passed through, it would hide whom it is for",
                                         hello(server_name("pinned.test") + extension(0xfe0d, "\0\0\x01"s)), "",
                                         "deny tls pinned.test: the hello holds an encrypted one (ECH)"});
    ground->settle();
}

TEST_CASE(
    "request escape: Host that is not the connection's name, in any form, is refused; the name itself arrives as it "
    "is") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    const auto with = [](const std::string& lines) { return "GET /open/x HTTP/1.1\r\n" + lines + "\r\n"; };
    const auto get = request("GET /open/x");
    const Attempt rows[] = {
        {"another host", with("Host: evil.test\r\n"), "",
         "deny 421 api.test GET /open/x: this connection was made for api.test, the request is for evil.test"},
        {"another allowed host", with("Host: plain.test\r\n"), "", "deny 421"},
        {"two Hosts", with("Host: api.test\r\nHost: evil.test\r\n"), "", "deny 400"},
        {"two Hosts, the other way", with("Host: evil.test\r\nHost: api.test\r\n"), "", "deny 400"},
        {"the same Host twice", with("Host: api.test\r\nHost: api.test\r\n"), "", "deny 400"},
        {"two names", with("Host: api.test, evil.test\r\n"), "", "deny 400"},
        {"two names and a space", with("Host: api.test evil.test\r\n"), "", "deny 400"},
        {"a folded one", with("Host: api.test\r\n evil.test\r\n"), "", "deny 400"},
        {"userinfo", with("Host: api.test@evil.test\r\n"), "", "deny 400"},
        {"userinfo, the other way", with("Host: evil.test@api.test\r\n"), "", "deny 400"},
        {"a path", with("Host: api.test/evil.test\r\n"), "", "deny 400"},
        {"a query", with("Host: api.test?evil.test\r\n"), "", "deny 400"},
        {"a fragment", with("Host: api.test#evil.test\r\n"), "", "deny 400"},
        {"a backslash", with("Host: api.test\\evil.test\r\n"), "", "deny 400"},
        {"an escaped dot", with("Host: api%2etest\r\n"), "", "deny 400"},
        {"no port behind a colon", with("Host: api.test:\r\n"), "", "deny 400"},
        {"another port", with("Host: api.test:80\r\n"), "", "deny 421"},
        {"the port with a zero", with("Host: api.test:0443\r\n"), "", "deny 421"},
        {"two ports", with("Host: api.test:443:80\r\n"), "", "deny 400"},
        {"a name as port", with("Host: api.test:evil\r\n"), "", "deny 400"},
        {"a loopback address", with("Host: 127.0.0.1\r\n"), "", "the request is for 127.0.0.1"},
        {"an address in brackets", with("Host: [::ffff:127.0.0.1]\r\n"), "", "the request is for 127.0.0.1"},
        {"an address with a zone", with("Host: [fe80::1%25lo]\r\n"), "", "deny 400"},
        {"none", with(""), "", "deny 400"},
        {"an empty one", with("Host:\r\n"), "", "deny 400"},
        {"an absolute target for another host", with("Host: api.test\r\n").replace(4, 7, "https://evil.test/open/x"),
         "", "deny 400"},
        {"Host for another than the absolute target",
         with("Host: evil.test\r\n").replace(4, 7, "https://api.test/open/x"), "", "deny 400"},
        {"an absolute target with userinfo",
         with("Host: api.test\r\n").replace(4, 7, "https://api.test:443@evil.test/"), "", "deny 400"},
        {"an absolute target that is not TLS", with("Host: api.test\r\n").replace(4, 7, "http://api.test/open/x"), "",
         "deny 400"},
        {"an absolute target, backslash", with("Host: api.test\r\n").replace(4, 7, "https://api.test\\@evil.test/"), "",
         "deny 400"},
        {"the target of a proxy", with("Host: api.test\r\n").replace(4, 7, "api.test:443"), "", "deny 400"},
        {"Host behind Connection", with("Host: api.test\r\nConnection: Host\r\n"), get,
         "allow 200 api.test GET /open/x"},
        {"upper case and a dot", with("Host: API.Test.:443\r\n"), get, "allow 200 api.test GET /open/x"},
        {"an absolute target for this host", with("Host: api.test\r\n").replace(4, 7, "https://API.test/open/x"), get,
         "allow 200"},
        {"HTTP/1.0 without Host", "GET /open/x HTTP/1.0\r\n\r\n", get, "allow 200 api.test GET /open/x"},
    };
    for (const auto& row : rows) ground->attempt(ground->tls(), row);
    ground->settle();
}

TEST_CASE("request escape: without SNI the connection is for the address that was dialled, and so has to be Host") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    ground->attempt(ground->tls(""),
                    {"Host of an allowed name", request("GET /open/x"), "", "deny 421 192.0.2.7 GET /open/x"});
    ground->attempt(ground->tls(""), {"Host of the address", request("GET /open/x", "", "", AttemptGround::kAddress),
                                      "", "deny 403 192.0.2.7 GET /open/x"});
    auto virtual_one = ground->gateway().connect_tls(ground->gateway().lookup("api.test"), 443, "evil.test");
    ground->attempt(std::move(virtual_one),
                    {"SNI of another name than the address stands for", request("GET /open/x"), "",
                     "deny 421 evil.test GET /open/x: this connection was made for evil.test"});
    auto named = ground->gateway().connect(ground->gateway().lookup("plain.test"), 80);
    ground->attempt(std::move(named), {"plain: Host of another name than the address stands for",
                                       request("GET /", "", "", "evil.test"), "", "deny 403 evil.test GET /"});
    ground->settle();
}
