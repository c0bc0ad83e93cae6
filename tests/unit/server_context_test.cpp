#include "gateway/tls/server_context.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "gateway/tls/authority.hpp"
#include "gateway/tls/client_context.hpp"
#include "tests/support/test_ca.hpp"

using namespace sallyport;
using testing::TlsPair;

namespace {

/// A gateway's client side, and clients that are plain OpenSSL.
struct Gateway {
    tls::Authority authority = tls::Authority::ephemeral();
    tls::LeafCache leaves{authority};
    tls::ServerContext server;

    tls::SslPtr accept(const std::string& host, bool http2 = false) {
        return server.make_ssl(host, leaves.get(host).value(), http2).value();
    }
};

struct Client {
    explicit Client(const Gateway& gateway, int version = 0) : context(SSL_CTX_new(TLS_client_method())) {
        SSL_CTX_set_min_proto_version(context.get(), version);
        SSL_CTX_set_max_proto_version(context.get(), version);
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), gateway.authority.certificate());
    }

    tls::SslPtr connect(const std::string& server_name, SSL_SESSION* session = nullptr, const std::string& alpn = {}) {
        tls::SslPtr ssl(SSL_new(context.get()));
        if (!server_name.empty()) {
            SSL_set_tlsext_host_name(ssl.get(), server_name.c_str());
            SSL_set1_host(ssl.get(), server_name.c_str());
        }
        if (session) SSL_set_session(ssl.get(), session);
        if (!alpn.empty())
            SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(alpn.data()),
                                static_cast<unsigned>(alpn.size()));
        return ssl;
    }

    tls::SslCtxPtr context;
};

std::string protocol(const SSL* ssl) {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

}  // namespace

TEST_CASE("server: TLS 1.2 and 1.3 clients get a certificate for the host they asked for, and nothing older") {
    Gateway gateway;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Client client(gateway, version);
        TlsPair pair(client.connect("api.example"), gateway.accept("api.example"));
        REQUIRE_MESSAGE(pair.handshake(), pair.error);
        CHECK(SSL_version(pair.client.get()) == version);
        CHECK(SSL_get_verify_result(pair.client.get()) == X509_V_OK);
        CHECK_FALSE(SSL_session_reused(pair.client.get()));
        CHECK(SSL_get_negotiated_group(pair.client.get()) == NID_X25519);
    }
    Client old(gateway, TLS1_1_VERSION);
    SSL_CTX_set_security_level(old.context.get(), 0);
    TlsPair pair(old.connect("api.example"), gateway.accept("api.example"));
    CHECK_FALSE(pair.handshake());
}

TEST_CASE("server: a second connection to the same host resumes, with and without tickets") {
    Gateway gateway;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        for (const auto options : {std::uint64_t{0}, std::uint64_t{SSL_OP_NO_TICKET}}) {
            CAPTURE(version);
            CAPTURE(options);
            Client client(gateway, version);
            SSL_CTX_set_options(client.context.get(), options);
            TlsPair first(client.connect("api.example"), gateway.accept("api.example"));
            REQUIRE_MESSAGE(first.handshake(), first.error);
            const tls::SessionPtr session(SSL_get1_session(first.client.get()));
            TlsPair second(client.connect("api.example", session.get()), gateway.accept("api.example"));
            REQUIRE_MESSAGE(second.handshake(), second.error);
            CHECK(SSL_session_reused(second.client.get()));
            CHECK(SSL_session_reused(second.server.get()));
        }
    }
}

TEST_CASE("server: a session of one host is not resumed for another: full handshake, right certificate") {
    Gateway gateway;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        for (const auto options : {std::uint64_t{0}, std::uint64_t{SSL_OP_NO_TICKET}}) {
            CAPTURE(version);
            CAPTURE(options);
            Client client(gateway, version);
            SSL_CTX_set_options(client.context.get(), options);
            TlsPair first(client.connect("api.example"), gateway.accept("api.example"));
            REQUIRE(first.handshake());
            const tls::SessionPtr session(SSL_get1_session(first.client.get()));
            TlsPair second(client.connect("other.example", session.get()), gateway.accept("other.example"));
            const bool done = second.handshake();
            CHECK_MESSAGE(done, second.error);
            CHECK_FALSE(SSL_session_reused(second.server.get()));
            CHECK(SSL_get_verify_result(second.client.get()) == X509_V_OK);
        }
    }
}

TEST_CASE("server: the server name that OpenSSL reads must be the host that was decided on") {
    Gateway gateway;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Client client(gateway, version);
        Client careless(gateway, version);
        SSL_CTX_set_verify(careless.context.get(), SSL_VERIFY_NONE, nullptr);
        TlsPair fronted(careless.connect("evil.example"), gateway.accept("api.example"));
        CHECK_FALSE(fronted.handshake());
        CHECK_FALSE(SSL_is_init_finished(fronted.client.get()));
        TlsPair shouting(client.connect("API.Example"), gateway.accept("api.example"));
        CHECK(shouting.handshake());
        TlsPair nameless(client.connect(""), gateway.accept("192.0.2.1"));
        CHECK(nameless.handshake());
        TlsPair address(client.connect("192.0.2.1"), gateway.accept("192.0.2.1"));
        CHECK(address.handshake());
    }
}

TEST_CASE("server: ALPN picks the best common protocol, refuses when none is common") {
    Gateway gateway;
    Client client(gateway);
    const auto negotiate = [&](const std::string& offered) -> std::string {
        TlsPair pair(client.connect("api.example", nullptr, offered), gateway.accept("api.example"));
        if (!pair.handshake()) return "refused: " + pair.error;
        return protocol(pair.client.get());
    };
    CHECK(negotiate("") == "");
    CHECK(negotiate("\x08http/1.1") == "http/1.1");
    CHECK(negotiate("\x02h2\x08http/1.1") == "http/1.1");
    CHECK(negotiate("\x02h2").starts_with("refused"));
    CHECK(negotiate("\x08http/0.9").starts_with("refused"));

    TlsPair pair(client.connect("api.example", nullptr, "\x08http/1.1\x02h2"), gateway.accept("api.example", true));
    REQUIRE(pair.handshake());
    CHECK(protocol(pair.client.get()) == "h2");
}

TEST_CASE("server: renegotiation is refused") {
    Gateway gateway;
    Client client(gateway, TLS1_2_VERSION);
    TlsPair pair(client.connect("api.example"), gateway.accept("api.example"));
    REQUIRE(pair.handshake());
    REQUIRE(SSL_renegotiate(pair.client.get()) == 1);
    for (int round = 0; round < 5; ++round) {
        char byte = 0;
        SSL_do_handshake(pair.client.get());
        SSL_read(pair.server.get(), &byte, 1);
    }
    CHECK(SSL_num_renegotiations(pair.server.get()) == 0);
    CHECK_FALSE(SSL_is_init_finished(pair.client.get()));
}

TEST_CASE("server: one certificate message, the leaf alone") {
    Gateway gateway;
    Client client(gateway);
    TlsPair pair(client.connect("api.example"), gateway.accept("api.example"));
    REQUIRE(pair.handshake());
    CHECK(sk_X509_num(SSL_get_peer_cert_chain(pair.client.get())) == 1);
}

TEST_CASE("server and client contexts: threads share them, sessions included") {
    Gateway gateway;
    const tls::ClientContext origins(gateway.authority.certificate_pem());
    constexpr int kThreads = 4, kConnections = 40;
    std::atomic<int> good = 0, resumed = 0;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < kThreads; ++t)
            threads.emplace_back([&] {
                for (int i = 0; i < kConnections; ++i) {
                    const std::string host = i % 2 ? "a.example" : "b.example";
                    TlsPair pair(origins.make_ssl(host, 443).value(), gateway.accept(host));
                    good += pair.handshake();
                    resumed += SSL_session_reused(pair.server.get());
                }
            });
    }
    CHECK(good == kThreads * kConnections);
    CHECK(resumed >= kThreads * (kConnections - 2));
    CHECK(origins.sessions() == 2);
}
