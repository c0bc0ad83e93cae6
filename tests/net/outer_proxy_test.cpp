// The outer proxy: how it is named, what is asked of it, and what becomes of its answers.

#include "gateway/net/outer_proxy.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "gateway/app/outer_proxy.hpp"
#include "gateway/base/startup_error.hpp"
#include "gateway/net/dialler.hpp"
#include "tests/support/fake_dns.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/wire_peer.hpp"

using namespace sallyport;
using namespace std::chrono_literals;
using net::Clock;
using net::NoProxy;
using net::OuterProxy;
using test::WireOrigin;
using test::WirePeer;

namespace {

OuterProxy at(std::uint16_t port, const std::string& user = "", const std::string& no_proxy = "") {
    return OuterProxy::parse(fmt::format("http://{}127.0.0.1:{}", user, port), no_proxy, "HTTPS_PROXY");
}

std::string refusal(const std::string& url) {
    try {
        OuterProxy::parse(url, "", "HTTPS_PROXY");
    } catch (const StartupError& error) {
        const std::string text = error.what();
        CHECK(text.starts_with("HTTPS_PROXY: "));
        CHECK(text.find("hunter2") == std::string::npos);
        return text;
    }
    return "";
}

bool mentions(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// A dialler behind the proxy, and what it says.
struct Network {
    explicit Network(OuterProxy proxy) : dialler(resolver, false, std::move(proxy)) {
        lifeline.expect_within(30s, "a test");
    }

    Result<net::Socket> dial(const std::string& host, std::uint16_t port = 443, bool private_addresses = false) {
        return testing::run(io, dialler.dial(lifeline, host, port, private_addresses));
    }
    std::string error(const std::string& host, std::uint16_t port = 443) {
        const auto socket = dial(host, port);
        return socket ? "" : socket.error().detail;
    }

    boost::asio::io_context io;
    testing::FakeDns dns{io};
    net::Watchdog watchdog{io.get_executor()};
    net::Lifeline lifeline{watchdog};
    net::Resolver resolver{io.get_executor(), dns.where()};
    net::Dialler dialler;
};

/// Connects through a proxy that answers with `answer`.
std::string error_after(const std::string& answer) {
    WireOrigin proxy([&answer](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(answer);
    });
    return Network(at(proxy.port(), "user:hunter2@")).error("api.test");
}

class Variable {
public:
    Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
    ~Variable() { ::unsetenv(name_); }

private:
    const char* name_;
};

}  // namespace

TEST_CASE("outer proxy: the URL in its forms") {
    const auto parse = [](const char* url) {
        const auto proxy = OuterProxy::parse(url, "", "HTTPS_PROXY");
        return fmt::format("{}|{}|{}", proxy.host, proxy.port, proxy.authorization);
    };
    CHECK(parse("http://proxy.corp.example:3128") == "proxy.corp.example|3128|");
    CHECK(parse("HTTP://Proxy.Corp.Example/") == "proxy.corp.example|80|");
    CHECK(parse("proxy:8080") == "proxy|8080|");
    CHECK(parse("http://[::1]:3128") == "::1|3128|");
    CHECK(parse("http://192.0.2.1") == "192.0.2.1|80|");
    CHECK(parse("http://Aladdin:open%20sesame@proxy:1") == "proxy|1|Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");  // RFC 7617
    CHECK(parse("http://me@proxy:1") == "proxy|1|Basic bWU6");
    CHECK(parse("http://me:a@b%3A%25@proxy:1") == "proxy|1|Basic bWU6YUBiOiU=");
}

TEST_CASE("outer proxy: a URL that is none stops the start, and nothing of it is shown") {
    CHECK(mentions(refusal("https://me:hunter2@proxy:443"), "TLS is not supported"));
    CHECK(mentions(refusal("socks5://me:hunter2@proxy:1080"), "not supported"));
    for (const char* url : {"http://", "http://me:hunter2@", "http://proxy:0", "http://proxy:99999", "http://proxy:x",
                            "http://proxy/hunter2", "http://pro xy", "http://a\r\nb:1", "http://me:hunter2%@proxy",
                            "http://me:hunter2%zz@proxy", "http://[::1", "http://proxy:3128?x=hunter2"}) {
        CAPTURE(url);
        CHECK(mentions(refusal(url), "expected http://[USER:PASSWORD@]HOST[:PORT]"));
    }
}

TEST_CASE("outer proxy: NO_PROXY") {
    const NoProxy list(
        " localhost,.Corp.example, *.svc ,10.0.0.0/8,192.0.2.7 exact.test:8443,[2001:db8::1]:443,fd00::/8,?,a b/9");
    const auto covered = [&](const char* host, std::uint16_t port = 443) { return list.covers(host, port); };
    for (const char* host :
         {"corp.example", "git.corp.example", "db.svc", "10.1.2.3", "192.0.2.7", "2001:db8::1", "fd00::7"}) {
        CAPTURE(host);
        CHECK(covered(host));
    }
    for (const char* host : {"notcorp.example", "corp.example.org", "example", "11.0.0.1", "192.0.2.70", "exact.test",
                             "2001:db8::2", "api.test"}) {
        CAPTURE(host);
        CHECK_FALSE(covered(host));
    }
    CHECK(covered("exact.test", 8443));
    CHECK_FALSE(covered("2001:db8::1", 80));
    CHECK(NoProxy("*").covers("api.test", 443));
    CHECK_FALSE(NoProxy("").covers("api.test", 443));
    // To the proxy these would be the proxy itself.
    for (const char* host : {"localhost", "x.localhost", "127.0.0.1", "127.8.8.8", "::1"}) {
        CAPTURE(host);
        CHECK(NoProxy("").covers(host, 80));
    }
}

TEST_CASE("outer proxy: the option wins over the environment, and takes no password") {
    const auto name_of = [](const std::optional<std::string>& option) {
        const auto proxy = app::outer_proxy(option);
        return proxy ? proxy->host : "(none)";
    };
    const Variable none("NO_PROXY", "direct.test");
    CHECK(name_of(std::nullopt) == "(none)");
    const Variable lower("https_proxy", "http://lower:1");
    CHECK(name_of(std::nullopt) == "lower");
    const Variable upper("HTTPS_PROXY", "http://me:hunter2@upper:1");
    CHECK(name_of(std::nullopt) == "upper");
    CHECK(app::outer_proxy(std::nullopt)->no_proxy.covers("direct.test", 443));
    CHECK(name_of("http://option:1") == "option");
    CHECK(app::outer_proxy("http://option:1")->authorization.empty());
    CHECK(name_of("") == "(none)");
    CHECK_THROWS_WITH_AS(app::outer_proxy("http://me:hunter2@option:1"),
                         doctest::Contains("put the URL into HTTPS_PROXY"), StartupError);
    const Variable tls("HTTPS_PROXY", "https://me:hunter2@upper:1");
    CHECK_THROWS_WITH_AS(app::outer_proxy(std::nullopt), doctest::Contains("--outer-proxy \"\" does without one"),
                         StartupError);
}

TEST_CASE("outer proxy: it is asked by name, with credentials, and what follows its answer belongs to the origin") {
    std::string asked;
    WireOrigin proxy([&asked](WirePeer& peer) {
        asked = peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n220 the server speaks first\r\n");
        peer.send(peer.read_exactly(4));
    });
    Network network(at(proxy.port(), "user:pass@"));
    auto socket = network.dial("mail.test", 25);
    REQUIRE(socket.has_value());
    net::Stream stream(std::move(*socket), network.lifeline);
    std::string heard;
    std::array<char, 64> block;
    while (heard.find('\n') == std::string::npos) {
        const auto n = testing::run(network.io, stream.read_some(block));
        REQUIRE(n);
        heard.append(block.data(), *n);
    }
    CHECK(heard == "220 the server speaks first\r\n");
    REQUIRE(testing::run(network.io, stream.write("ping")));
    const auto n = testing::run(network.io, stream.read_some(block));
    REQUIRE(n);
    CHECK(std::string(block.data(), *n) == "ping");
    CHECK(asked ==
          "CONNECT mail.test:25 HTTP/1.1\r\nHost: mail.test:25\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n");
    CHECK(network.dns.questions() == 0);  // the proxy resolves
}

TEST_CASE("outer proxy: an answer in small pieces, and one of HTTP/1.0") {
    WireOrigin proxy([](WirePeer& peer) {
        const auto asked = peer.read_until("\r\n\r\n");
        CHECK(asked.starts_with("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n"));
        for (const char c : std::string("HTTP/1.0 200 ok\r\nA: b\r\n\r\nX")) {
            peer.send(std::string(1, c));
            peer.silent_for(2);  // so that they come one by one
        }
    });
    Network network(at(proxy.port()));
    auto socket = network.dial("2001:db8::1");
    REQUIRE(socket.has_value());
    net::Stream stream(std::move(*socket), network.lifeline);
    std::array<char, 8> block;
    const auto n = testing::run(network.io, stream.read_some(block));
    REQUIRE(n);
    CHECK(std::string(block.data(), *n) == "X");
}

TEST_CASE("outer proxy: a refusal is a sentence with its status") {
    CHECK(error_after("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nno!") ==
          "the outer proxy refused the connection to api.test:443 (407 Proxy Authentication Required)");
    CHECK(error_after("HTTP/1.1 403\r\n\r\n") == "the outer proxy refused the connection to api.test:443 (403)");
    CHECK(error_after("HTTP/1.1 502 \x1b[31mBad\r\n\r\n") ==
          "the outer proxy refused the connection to api.test:443 (502 ?[31mBad)");
}

TEST_CASE("outer proxy: what is no answer, or has no end, is an error and not a connection") {
    CHECK(mentions(error_after("SSH-2.0-x\r\n\r\n"), "does not answer in HTTP/1.1"));
    CHECK(mentions(error_after("HTTP/1.1 2000 x\r\n\r\n"), "does not answer in HTTP/1.1"));
    CHECK(mentions(error_after("HTTP/1.1 200 OK\r\nA: b\r\n"), "closed the connection without an answer"));
    CHECK(mentions(error_after(""), "closed the connection without an answer"));
    CHECK(mentions(error_after("HTTP/1.1 200 OK\r\nA: " + std::string(64 * 1024, 'x')), "a head that has no end"));
    CHECK(mentions(Network(at(1)).error("api.test"), "the outer proxy cannot be reached: "));
}

TEST_CASE("outer proxy: one that does not answer is waited for until the deadline, however it drips") {
    WireOrigin proxy([](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        for (int i = 0; i < 100 && peer.silent_for(20); ++i) peer.send("x");  // until it hangs up
    });
    boost::asio::io_context io;
    net::Watchdog watchdog(io.get_executor());
    net::Lifeline lifeline(watchdog);
    lifeline.expect_within(30s, "a test");
    const auto to = at(proxy.port());
    net::Resolver resolver(io.get_executor());
    const net::DialRules any{true, nullptr};
    auto socket = testing::run(io, net::dial(resolver, lifeline, to.host, to.port, any, Clock::now() + 5s));
    REQUIRE(socket.has_value());
    const auto begin = Clock::now();
    const auto done =
        testing::run(io, net::connect_through(std::move(*socket), to, lifeline, "api.test", 443, begin + 300ms));
    REQUIRE_FALSE(done.has_value());
    CHECK(mentions(done.error().detail, "did not answer in time"));
    CHECK(done.error().kind == ErrorKind::timed_out);
    CHECK(Clock::now() - begin < 3s);
}

TEST_CASE("outer proxy: private addresses as such are refused as ever, and never asked for") {
    WireOrigin proxy([](WirePeer&) {});
    Network network(at(proxy.port()));
    for (const char* host : {"10.0.0.1", "169.254.169.254", "fd00::1", "192.168.0.1"}) {
        CAPTURE(host);
        const auto socket = network.dial(host);
        REQUIRE_FALSE(socket.has_value());
        CHECK(socket.error().kind == ErrorKind::refused);
        CHECK(mentions(socket.error().detail, "private = true in the rule allows it"));
    }
    for (const char* host : {"127.0.0.1", "localhost"}) {
        const auto socket = network.dial(host, proxy.port());
        REQUIRE_FALSE(socket.has_value());
        CHECK(socket.error().kind == ErrorKind::refused);
    }
    CHECK(proxy.connections() == 0);
}

TEST_CASE("outer proxy: what NO_PROXY covers is dialled directly") {
    WireOrigin proxy([](WirePeer&) {});
    WireOrigin origin([](WirePeer& peer) { peer.send("hello"); });
    Network network(at(proxy.port(), "", "test"));
    network.dns.address("api.test", "127.0.0.1");
    CHECK(network.dial("api.test", origin.port(), true).has_value());
    CHECK_FALSE(network.dial("api.test", origin.port(), false).has_value());  // and judged
    CHECK(proxy.connections() == 0);
}

TEST_CASE("outer proxy: the kind of address is the origin's, not the proxy's") {
    WireOrigin proxy([](WirePeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
    });
    Network network(at(proxy.port(), "", "direct.test"));
    network.dns.address("direct.test", "127.0.0.1");
    const auto kind = [&](const std::string& host, std::uint16_t port) {
        const auto socket = network.dial(host, port, true);
        REQUIRE(socket.has_value());
        return network.dialler.private_peer(host, port, *socket).value_or("(public)");
    };
    CHECK(kind("api.test", 443) == "(public)");
    CHECK(kind("10.1.2.3", 443) == "a private address");
    CHECK(kind("direct.test", proxy.port()) == "a loopback address");
}
