#include "gateway/tls/client_context.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <optional>

#include "gateway/base/startup_error.hpp"
#include "tests/support/test_ca.hpp"

using namespace sallyport;
using testing::Identity;
using testing::TestCa;
using testing::TlsPair;

namespace {

struct Outcome {
    bool done = false;
    bool resumed = false;
    std::string failure;
};

Outcome connect(const tls::ClientContext& client, const std::string& host, SSL_CTX* server, std::uint16_t port = 443) {
    TlsPair pair(client.make_ssl(host, port).value(), tls::SslPtr(SSL_new(server)));
    Outcome outcome;
    outcome.done = pair.handshake();
    outcome.resumed = SSL_session_reused(pair.client.get()) == 1;
    outcome.failure = tls::verify_failure_text(pair.client.get());
    return outcome;
}

Outcome connect(const tls::ClientContext& client, const std::string& host, const Identity& server) {
    return connect(client, host, testing::make_server(server).get());
}

/// Sets a variable of the environment while it lives.
class Variable {
public:
    Variable(const char* name, const char* value) : name_(name) {
        if (const char* old = std::getenv(name)) before_ = old;
        setenv(name, value, 1);
    }
    ~Variable() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }

private:
    const char* name_;
    std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("client: a good certificate for the name or address is accepted") {
    const TestCa ca;
    const tls::ClientContext client(ca.pem());
    for (const std::string host : {"api.example", "192.0.2.1", "2001:db8::1", "under_score.example"}) {
        CAPTURE(host);
        const auto outcome = connect(client, host, ca.good(host));
        CHECK(outcome.done);
        CHECK(outcome.failure.empty());
    }
}

TEST_CASE("client: the server name is sent for a name, not for an address") {
    const TestCa ca;
    const tls::ClientContext client(ca.pem());
    const auto sent = [&](const std::string& host) -> std::string {
        const auto server = testing::make_server(ca.good(host), "http/1.1");
        TlsPair pair(client.make_ssl(host, 443).value(), tls::SslPtr(SSL_new(server.get())));
        REQUIRE(pair.handshake());
        const unsigned char* protocol = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(pair.client.get(), &protocol, &size);
        CHECK(std::string(reinterpret_cast<const char*>(protocol), size) == "http/1.1");
        const char* name = SSL_get_servername(pair.server.get(), TLSEXT_NAMETYPE_host_name);
        return name ? name : "(none)";
    };
    CHECK(sent("api.example") == "api.example");
    CHECK(sent("192.0.2.1") == "(none)");
}

TEST_CASE("client: a bad certificate ends the handshake, and one phrase says why") {
    const TestCa ca, unknown("Unknown CA");
    const tls::ClientContext client(ca.pem());
    const auto refused = [&](const Identity& server, const std::string& host = "api.example") {
        const auto outcome = connect(client, host, server);
        CHECK_FALSE(outcome.done);
        CHECK_FALSE(outcome.failure.empty());
        return outcome.failure;
    };
    CHECK(refused(ca.good("other.example")) == "certificate is for other.example, not api.example");
    CHECK(refused(ca.good("192.0.2.2"), "192.0.2.1") == "certificate is for 192.0.2.2, not 192.0.2.1");
    CHECK(refused(ca.good("api.example"), "192.0.2.1") == "certificate is for api.example, not 192.0.2.1");
    CHECK(refused(ca.expired("api.example")).starts_with("certificate has expired (20"));
    CHECK(refused(ca.not_yet_valid("api.example")) == "certificate: certificate is not yet valid");
    CHECK(refused(TestCa::self_signed("api.example")).starts_with("certificate: self"));
    CHECK(refused(unknown.good("api.example")).starts_with("certificate is not signed by a trusted authority"));
    CHECK(client.sessions() == 0);
}

TEST_CASE("client: no name in the subject counts, and a failure elsewhere leaves no phrase") {
    const TestCa ca;
    const tls::ClientContext client(ca.pem());
    // The common name of every test certificate; without a DNS name beside it, old clients would have taken it.
    CHECK_FALSE(connect(client, "test-server.example", ca.good("192.0.2.1")).done);

    const auto server = testing::make_server(ca.good("api.example"));
    SSL_CTX_set_security_level(server.get(), 0);
    SSL_CTX_set_max_proto_version(server.get(), TLS1_1_VERSION);
    const auto outcome = connect(client, "api.example", server.get());
    CHECK_FALSE(outcome.done);
    CHECK(outcome.failure.empty());
}

TEST_CASE("client: sessions are resumed for the same name and port only") {
    const TestCa ca;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CAPTURE(version);
        const tls::ClientContext client(ca.pem());
        const auto server = testing::make_server(ca.good("api.example"));
        SSL_CTX_set_max_proto_version(server.get(), version);
        SSL_CTX_set_session_id_context(server.get(), reinterpret_cast<const unsigned char*>("t"), 1);
        CHECK_FALSE(connect(client, "api.example", server.get()).resumed);
        CHECK(connect(client, "api.example", server.get()).resumed);
        CHECK(connect(client, "api.example", server.get()).resumed);
        CHECK_FALSE(connect(client, "api.example", server.get(), 8443).resumed);
        const auto other = connect(client, "other.example", server.get());
        CHECK_FALSE(other.done);
        CHECK_FALSE(other.resumed);
        CHECK(client.sessions() == 2);
    }
}

TEST_CASE("client: an hour after a certificate was verified it is again, however often its session was resumed") {
    const TestCa ca;
    auto now = tls::ClientContext::Clock::now();
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CAPTURE(version);
        const tls::ClientContext client(ca.pem(), false, {"http/1.1"}, [&now] { return now; });
        const auto server = testing::make_server(ca.good("api.example"));
        SSL_CTX_set_max_proto_version(server.get(), version);
        SSL_CTX_set_session_id_context(server.get(), reinterpret_cast<const unsigned char*>("t"), 1);
        for (int round = 0; round < 2; ++round) {
            CHECK_FALSE(connect(client, "api.example", server.get()).resumed);
            for (int i = 0; i < 3; ++i) {  // each may bring another session
                now += std::chrono::minutes(20);
                CHECK(connect(client, "api.example", server.get()).resumed);
            }
            now += std::chrono::minutes(1);
        }
        CHECK(connect(client, "api.example", server.get()).done);
    }
}

TEST_CASE("client: a session of another server is not accepted in place of verification") {
    const TestCa ca;
    const tls::ClientContext client(ca.pem());
    REQUIRE(connect(client, "api.example", ca.good("api.example")).done);
    CHECK(client.sessions() == 1);
    const auto impostor = connect(client, "api.example", TestCa::self_signed("api.example"));
    CHECK_FALSE(impostor.done);
    CHECK_FALSE(impostor.resumed);
}

TEST_CASE("client: SSL_CERT_FILE is honoured, alone or beside others; an empty store stops the start") {
    const Variable no_folder("SSL_CERT_DIR", "/nonexistent");
    {
        const Variable no_file("SSL_CERT_FILE", "/nonexistent/bundle.pem");
        CHECK_THROWS_AS(tls::ClientContext(), StartupError);
    }
    CHECK_THROWS_AS(tls::ClientContext("no PEM at all"), StartupError);

    const TestCa ca;
    char path[] = "/tmp/sallyport-bundle-XXXXXX";
    const int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    FILE* file = fdopen(fd, "w");
    std::fputs(ca.pem().c_str(), file);
    std::fclose(file);
    {
        const Variable bundle("SSL_CERT_FILE", path);
        const tls::ClientContext client;
        CHECK(connect(client, "api.example", ca.good("api.example")).done);
        const TestCa other("Other");
        CHECK_FALSE(connect(client, "api.example", other.good("api.example")).done);

        const tls::ClientContext both(other.pem(), true);
        CHECK(connect(both, "api.example", ca.good("api.example")).done);
        CHECK(connect(both, "api.example", other.good("api.example")).done);
        CHECK_FALSE(connect(both, "api.example", TestCa("Third").good("api.example")).done);
        const tls::ClientContext alone(other.pem());
        CHECK_FALSE(connect(alone, "api.example", ca.good("api.example")).done);
    }
    std::remove(path);
}
