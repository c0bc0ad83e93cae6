// [[origin]]: what holds for the host that it names, and what no other host gets of it.

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <atomic>
#include <fstream>
#include <mutex>

#include "tests/support/sealed_gateway.hpp"
#include "tests/support/stand_in.hpp"

using namespace sallyport;
using namespace sallyport::test;
using testing::Identity;
using testing::TestCa;

namespace {

const std::string kAddress = "192.0.2.7";
const std::vector<std::pair<std::string, std::string>> kNames = {{"inner.test", "127.0.0.1"},
                                                                 {"other.test", "127.0.0.1"}};

std::string allow(const std::string& host, std::uint16_t port) {
    return fmt::format("[[allow]]\nhost = \"{}\"\nport = {}\nprivate = true\n", host, port);
}

std::string get(SealedGateway& gateway, const std::string& host, std::uint16_t port) {
    auto client = gateway.connect_tls(kAddress, port, host);
    client.send(fmt::format("GET /x HTTP/1.1\r\nHost: {}:{}\r\n\r\n", host, port));
    return client.read_message();
}

/// What the policy names files for.
class Files {
public:
    std::string write(const std::string& name, const std::string& content) const {
        const auto path = directory_.path() / name;
        std::ofstream(path) << content;
        return path.string();
    }
    std::string origin(const std::string& host, const Identity& identity) const {
        return fmt::format("[[origin]]\nhost = \"{}\"\nclient_certificate = \"{}\"\nclient_key = \"{}\"\n", host,
                           write("client.pem", testing::to_pem(identity.certificate.get())),
                           write("client.key", testing::to_pem(identity.key.get())));
    }

private:
    TempDirectory directory_;
};

/// An origin that asks for a certificate of `clients` and remembers what it was shown.
class AskingOrigin {
public:
    AskingOrigin(const std::string& host, const TestCa& clients, bool demanding)
        : origin_([this](WirePeer& peer) { serve(peer); }, context(host, clients, demanding),
                  WireOrigin::Serving::side_by_side) {}

    std::uint16_t port() const { return origin_.port(); }
    int connections() const { return origin_.connections(); }
    std::vector<std::string> shown() {
        const std::lock_guard lock(mutex_);
        return shown_;
    }

private:
    static tls::SslCtxPtr context(const std::string& host, const TestCa& clients, bool demanding) {
        auto made = testing::make_server(SealedGateway::origin_ca().good(host));
        X509_STORE_add_cert(SSL_CTX_get_cert_store(made.get()),
                            tls::read_certificates(clients.pem()).value().front().get());
        SSL_CTX_set_verify(made.get(), SSL_VERIFY_PEER | (demanding ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
        SSL_CTX_set_session_id_context(made.get(), reinterpret_cast<const unsigned char*>("t"), 1);
        return made;
    }
    void serve(WirePeer& peer) {
        const tls::X509Ptr certificate(SSL_get1_peer_certificate(peer.ssl()));
        while (!peer.read_message().empty()) {
            {
                const std::lock_guard lock(mutex_);
                shown_.push_back(certificate ? testing::to_pem(certificate.get()) : "");
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    }

    std::mutex mutex_;
    std::vector<std::string> shown_;
    WireOrigin origin_;
};

}  // namespace

TEST_CASE("[[origin]] client_certificate: its host gets it, and no other that asks") {
    const TestCa clients("Client CA");
    const auto mine = clients.good("me.example");
    const Files files;
    AskingOrigin inner("inner.test", clients, true), other("other.test", clients, false);
    const auto policy = allow("inner.test", inner.port()) + allow("other.test", other.port());
    const auto gateway = SealedGateway::start(policy + files.origin("inner.test", mine), kNames);
    if (!gateway) return;
    CHECK(get(*gateway, "inner.test", inner.port()).ends_with("ok"));
    CHECK(get(*gateway, "other.test", other.port()).ends_with("ok"));
    CHECK(inner.shown() == std::vector{testing::to_pem(mine.certificate.get())});
    CHECK(other.shown() == std::vector{std::string()});
    // Nor the same host, once the policy has taken it away: neither a connection nor a session outlives that.
    gateway->replace_policy(policy);
    const auto page = get(*gateway, "inner.test", inner.port());
    CHECK(page.starts_with("HTTP/1.1 502 "));
    CAPTURE(page);
    CHECK(page.find("asks for a client certificate: [[origin]] with client_certificate") != std::string::npos);
    CHECK(inner.shown().size() == 1);
    gateway->replace_policy(policy + files.origin("inner.test", TestCa("Other").good("me.example")));
    CHECK(get(*gateway, "inner.test", inner.port())
              .find("refused the client certificate of the [[origin]] at test.toml:") != std::string::npos);
    CHECK(inner.shown().size() == 1);
}

TEST_CASE("[[origin]] ca: it vouches for its host, through a route too, and for no other") {
    const TestCa corporate("Corporate CA");
    const Files files;
    const auto serve = [](WirePeer& peer) {
        while (!peer.read_message().empty()) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    };
    WireOrigin inner(serve, testing::make_server(corporate.good("inner.test")));
    WireOrigin other(serve, testing::make_server(corporate.good("other.test")));
    const auto gateway = SealedGateway::start(
        allow("inner.test", inner.port()) + allow("other.test", other.port()) + "[[allow]]\nhost = \"api.test\"\n" +
            fmt::format("[[route]]\nhost = \"api.test\"\nto = \"https://inner.test:{}\"\n", inner.port()) +
            fmt::format("[[origin]]\nhost = \"inner.test\"\nca = \"{}\"\n", files.write("ca.pem", corporate.pem())),
        kNames);
    if (!gateway) return;
    CHECK(get(*gateway, "inner.test", inner.port()).ends_with("ok"));
    CHECK(get(*gateway, "api.test", 443).ends_with("ok"));
    const auto page = get(*gateway, "other.test", other.port());
    CHECK(page.starts_with("HTTP/1.1 502 "));
    CHECK(page.find("not signed by a trusted authority") != std::string::npos);
    CHECK(other.handshakes() == 0);
}

TEST_CASE("[[origin]] min_tls: an origin that speaks only TLS 1.2 is a 502 that says so, and gets no request") {
    auto server = testing::make_server(SealedGateway::origin_ca().good("inner.test"));
    SSL_CTX_set_max_proto_version(server.get(), TLS1_2_VERSION);
    WireOrigin inner([](WirePeer& peer) { CHECK(peer.read_to_end() == ""); }, std::move(server));
    const auto gateway = SealedGateway::start(
        allow("inner.test", inner.port()) + "[[origin]]\nhost = \"*.test\"\nmin_tls = \"1.3\"\n", kNames);
    if (!gateway) return;
    const auto page = get(*gateway, "inner.test", inner.port());
    CHECK(page.starts_with("HTTP/1.1 502 "));
    CHECK(page.find("inner.test: speaks no TLS 1.3, which the [[origin]] at test.toml:5 asks for") !=
          std::string::npos);
}

TEST_CASE("[[origin]]: what goes on ends when its options change, and only then; kept connections are not used again") {
    std::atomic<int> answered = 0;
    WireOrigin inner(
        [&answered](WirePeer& peer) {
            while (true) {
                // One connection after another is served: the second, which is not to be used again, makes room.
                if (answered == 5 && peer.silent_for(300)) return;
                const auto request = peer.read_message();
                if (request.empty()) return;
                ++answered;
                if (request.starts_with("GET /events"))
                    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
                else peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        },
        testing::make_server(SealedGateway::origin_ca().good("inner.test")));
    const auto port = inner.port();
    const auto policy = allow("inner.test", port);
    const std::string options = "[[origin]]\nhost = \"inner.test\"\nmin_tls = \"1.2\"\n";
    const auto gateway = SealedGateway::start(policy + options, kNames);
    if (!gateway) return;
    CHECK(get(*gateway, "inner.test", port).ends_with("ok"));
    CHECK(get(*gateway, "inner.test", port).ends_with("ok"));
    CHECK(inner.connections() == 1);
    CHECK(gateway->replace_policy("# a line more\n" + policy + options) == 0);
    CHECK(get(*gateway, "inner.test", port).ends_with("ok"));
    CHECK(inner.connections() == 1);

    auto events = gateway->connect_tls(kAddress, port, "inner.test");
    events.send(fmt::format("GET /events HTTP/1.1\r\nHost: inner.test:{}\r\n\r\n", port));
    CHECK(events.read_until("data: 1").starts_with("HTTP/1.1 200 "));
    CHECK(gateway->replace_policy("# two lines\n# more\n" + policy + options) == 0);
    CHECK(gateway->replace_policy(policy + "[[origin]]\nhost = \"inner.test\"\nmin_tls = \"1.3\"\n") == 1);
    CHECK(events.is_reset());
    CHECK(get(*gateway, "inner.test", port).ends_with("ok"));
    CHECK(inner.connections() == 2);
    CHECK(gateway->replace_policy(policy + options) == 0);  // and back, with nothing going on
    CHECK(get(*gateway, "inner.test", port).ends_with("ok"));
    CHECK(inner.connections() == 3);
}
