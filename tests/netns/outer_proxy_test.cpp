// Behind an outer proxy: everything that leaves goes through it, judged as ever; nothing of it shows in the sandbox.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <mutex>
#include <thread>

#include "tests/support/sealed_gateway.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kAddress = "192.0.2.7";
constexpr const char* kCredentials = "dXNlcjpodW50ZXIy";  // user:hunter2

/// A proxy with credentials. What it is asked for it gets from one origin, wherever it is said to be.
class TestProxy {
public:
    explicit TestProxy(std::uint16_t origin) : origin_(origin), proxy_([this](WirePeer& peer) { serve(peer); }) {}

    net::OuterProxy as_outer(const std::string& user = "user:hunter2@", const std::string& no_proxy = "") const {
        return net::OuterProxy::parse(fmt::format("http://{}127.0.0.1:{}", user, proxy_.port()), no_proxy,
                                      "HTTPS_PROXY");
    }
    std::uint16_t port() const { return proxy_.port(); }
    /// The hosts and ports that it was asked for.
    std::vector<std::string> asked() {
        const std::lock_guard lock(mutex_);
        return asked_;
    }

private:
    void serve(WirePeer& client) {
        const auto head = client.read_until("\r\n\r\n");
        {
            const std::lock_guard lock(mutex_);
            asked_.push_back(head.substr(8, head.find(' ', 8) - 8));
        }
        if (head.find(std::string("Proxy-Authorization: Basic ") + kCredentials) == std::string::npos) {
            client.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
            return;
        }
        UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(origin_);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
            client.send("HTTP/1.1 502 Bad Gateway\r\n\r\n");
            return;
        }
        client.send("HTTP/1.1 200 Connection established\r\n\r\n");
        std::thread back([&] { copy(fd.get(), client.fd()); });
        copy(client.fd(), fd.get());
        back.join();
    }
    static void copy(int from, int to) {
        char block[16384];
        for (ssize_t n = 0; (n = ::recv(from, block, sizeof block, 0)) > 0;)
            if (::send(to, block, static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) break;
        ::shutdown(to, SHUT_WR);
    }

    const std::uint16_t origin_;
    std::mutex mutex_;
    std::vector<std::string> asked_;
    WireOrigin proxy_;
};

void serve_ok(WirePeer& peer) {
    if (!peer.read_message().empty()) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
}

void expect_no_trace(SealedGateway& gateway) {
    for (const auto& event : gateway.finish()) {
        CAPTURE(event.dump());
        CHECK(event.dump().find(kCredentials) == std::string::npos);
        CHECK(event.dump().find("hunter2") == std::string::npos);
    }
}

}  // namespace

TEST_CASE("outer proxy: TLS and plain HTTP are asked of it by name, whatever the names would resolve to here") {
    WireOrigin secure(serve_ok, testing::make_server(SealedGateway::origin_ca().good("api.test")));
    WireOrigin plain(serve_ok);
    TestProxy to_secure(secure.port()), to_plain(plain.port());
    const std::string policy = "[[allow]]\nhost = \"api.test\"\n";
    {
        const auto gateway = SealedGateway::start(policy, {}, {}, to_secure.as_outer());
        if (!gateway) return;
        auto client = gateway->connect_tls(kAddress, 443, "api.test");
        client.send("GET / HTTP/1.1\r\nHost: api.test\r\n\r\n");
        CHECK(client.read_message().ends_with("ok"));
        // What the policy refuses does not get as far.
        auto refused = gateway->connect_tls(kAddress, 443, "other.test");
        refused.send("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
        CHECK(refused.read_message().starts_with("HTTP/1.1 403 "));
        CHECK(to_secure.asked() == std::vector<std::string>{"api.test:443"});
        const auto events = gateway->finish();
        REQUIRE(events.size() == 2);
        CHECK(events[0]["decision"] == "allow");
        CHECK_FALSE(events[0].contains("would_deny"));
        expect_no_trace(*gateway);
    }
    const auto gateway = SealedGateway::start(policy, {}, {}, to_plain.as_outer());
    auto client = gateway->connect(kAddress, 80);
    client.send("GET / HTTP/1.1\r\nHost: api.test\r\n\r\n");
    CHECK(client.read_message().ends_with("ok"));
    CHECK(to_plain.asked() == std::vector<std::string>{"api.test:80"});
}

TEST_CASE("outer proxy: the origin's certificate is still verified, through the tunnel") {
    WireOrigin impostor([](WirePeer& peer) { CHECK(peer.read_to_end() == ""); },
                        testing::make_server(testing::TestCa("Another CA").good("api.test")));
    TestProxy proxy(impostor.port());
    const auto gateway = SealedGateway::start("[[allow]]\nhost = \"api.test\"\n", {}, {}, proxy.as_outer());
    if (!gateway) return;
    auto client = gateway->connect_tls(kAddress, 443, "api.test");
    client.send("GET /secret HTTP/1.1\r\nHost: api.test\r\n\r\n");
    const auto page = client.read_message();
    CHECK(page.starts_with("HTTP/1.1 502 "));
    CHECK(page.find("trusted authority") != std::string::npos);
}

TEST_CASE("outer proxy: a protocol whose server speaks first loses nothing, and ends as it should") {
    WireOrigin mail([](WirePeer& peer) {
        peer.send("220 mail.test\r\n");
        CHECK(peer.read_until("\r\n") == "QUIT\r\n");
        peer.send("221 bye\r\n");
    });
    TestProxy proxy(mail.port());
    const auto gateway = SealedGateway::start("[[allow]]\nhost = \"mail.test\"\nport = 25\n", {}, {}, proxy.as_outer());
    if (!gateway) return;
    auto client = gateway->connect(gateway->lookup("mail.test"), 25);
    CHECK(client.read_until("\r\n") == "220 mail.test\r\n");
    client.send("QUIT\r\n");
    CHECK(client.read_to_end() == "221 bye\r\n");
    CHECK(proxy.asked() == std::vector<std::string>{"mail.test:25"});
    const auto events = gateway->finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["decision"] == "allow");
    CHECK_FALSE(events[0].contains("would_deny"));
}

TEST_CASE("outer proxy: its refusal is a 502 with its words, and shows no credentials") {
    TestProxy proxy(1);
    const auto gateway =
        SealedGateway::start("[[allow]]\nhost = \"api.test\"\n", {}, {}, proxy.as_outer("user:wrong-one@"));
    if (!gateway) return;
    auto client = gateway->connect_tls(kAddress, 443, "api.test");
    client.send("GET / HTTP/1.1\r\nHost: api.test\r\n\r\n");
    const auto page = client.read_message();
    CHECK(page.starts_with("HTTP/1.1 502 "));
    CHECK(page.find("the outer proxy refused the connection to api.test:443 (407 Proxy Authentication Required)") !=
          std::string::npos);
    CHECK(page.find("wrong-one") == std::string::npos);
    CHECK(page.find("Basic") == std::string::npos);
    expect_no_trace(*gateway);
}

TEST_CASE("outer proxy: a client gets neither to it nor to private addresses behind it") {
    TestProxy proxy(1);
    const auto gateway = SealedGateway::start(
        fmt::format(
            "[[allow]]\nhost = [\"169.254.169.254\", \"10.0.0.1\", \"localhost\", \"127.0.0.1\"]\nport = [80, {}]\n",
            proxy.port()),
        {}, {}, proxy.as_outer());
    if (!gateway) return;
    for (const std::string host : {"169.254.169.254", "10.0.0.1", "localhost", "127.0.0.1"}) {
        CAPTURE(host);
        for (const std::uint16_t port : {std::uint16_t(80), proxy.port()}) {
            auto client = gateway->connect(kAddress, port);
            client.send(fmt::format("GET / HTTP/1.1\r\nHost: {}:{}\r\n\r\n", host, port));
            const auto page = client.read_message();
            CHECK(page.starts_with("HTTP/1.1 403 "));
            CHECK(page.find("private = true") != std::string::npos);
        }
    }
    auto client = gateway->connect(kAddress, proxy.port());  // the proxy by a name that no rule allows
    client.send(fmt::format("GET / HTTP/1.1\r\nHost: proxy.test:{}\r\n\r\n", proxy.port()));
    CHECK(client.read_message().starts_with("HTTP/1.1 403 "));
    CHECK(proxy.asked().empty());
}
