// [[origin]] on the wire: what an origin is shown, what is trusted, what is spoken; and that no other host sees it.

#include "gateway/tls/origin_options.hpp"

#include <doctest/doctest.h>

#include "gateway/tls/client_context.hpp"
#include "tests/support/test_ca.hpp"

using namespace sallyport;
using testing::Identity;
using testing::TestCa;
using testing::TlsPair;
using Options = std::shared_ptr<const tls::OriginOptions>;

namespace {

Options options(tls::OriginFiles files, bool only_tls13 = false) {
    return std::make_shared<const tls::OriginOptions>(std::make_shared<const tls::OriginFiles>(std::move(files)),
                                                      only_tls13, "p.toml:3");
}

Options trusting(const TestCa& ca) {
    tls::OriginFiles files;
    files.authorities = tls::read_certificates(ca.pem()).value();
    return options(std::move(files));
}

Options showing(const Identity& identity) {
    tls::OriginFiles files;
    files.identity =
        tls::read_identity(testing::to_pem(identity.certificate.get()), testing::to_pem(identity.key.get())).value();
    return options(std::move(files));
}

/// Wants a certificate of this authority, and nothing without.
tls::SslCtxPtr demanding_server(const Identity& identity, const TestCa& clients) {
    auto server = testing::make_server(identity);
    const auto authorities = tls::read_certificates(clients.pem()).value();
    X509_STORE_add_cert(SSL_CTX_get_cert_store(server.get()), authorities.front().get());
    SSL_CTX_set_verify(server.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_session_id_context(server.get(), reinterpret_cast<const unsigned char*>("t"), 1);
    return server;
}

struct Outcome {
    bool done = false;
    bool resumed = false;
    std::string shown;  ///< the certificate that the server saw
    std::string failure;
};

Outcome connect(const tls::ClientContext& client, const std::string& host, SSL_CTX* server, const Options& how) {
    TlsPair pair(client.make_ssl(host, 443, how).value(), tls::SslPtr(SSL_new(server)));
    Outcome outcome;
    outcome.done = pair.handshake();
    if (!outcome.done) {  // what the server sent last
        char byte = 0;
        SSL_read(pair.client.get(), &byte, 1);
    }
    outcome.resumed = SSL_session_reused(pair.client.get()) == 1;
    outcome.failure = tls::verify_failure_text(pair.client.get());
    const tls::X509Ptr shown(SSL_get1_peer_certificate(pair.server.get()));
    if (shown) outcome.shown = testing::to_pem(shown.get());
    return outcome;
}

bool mentions(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("origin: an authority of its own is trusted for it, beside the others, and for nobody else") {
    const TestCa known, own("Corporate CA");
    const tls::ClientContext client(known.pem());
    const auto inner = testing::make_server(own.good("inner.example"));
    const auto outer = testing::make_server(known.good("inner.example"));
    const auto how = trusting(own);
    CHECK(connect(client, "inner.example", inner.get(), how).done);
    CHECK(connect(client, "inner.example", outer.get(), how).done);
    const auto other = connect(client, "inner.example", inner.get(), nullptr);
    CHECK_FALSE(other.done);
    CHECK(mentions(other.failure, "trusted authority"));
    // Nor does it vouch for another name.
    CHECK_FALSE(connect(client, "other.example", inner.get(), how).done);
    CHECK_FALSE(
        connect(client, "inner.example", testing::make_server(TestCa::self_signed("inner.example")).get(), how).done);
}

TEST_CASE("origin: the client certificate is shown where it is asked for, under these options only") {
    const TestCa ca, clients("Client CA");
    const auto mine = clients.good("me.example");
    const auto how = showing(mine);
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CAPTURE(version);
        const tls::ClientContext client(ca.pem());
        const auto server = demanding_server(ca.good("api.example"), clients);
        SSL_CTX_set_max_proto_version(server.get(), version);
        const auto good = connect(client, "api.example", server.get(), how);
        CHECK(good.done);
        CHECK(good.shown == testing::to_pem(mine.certificate.get()));
        // What was agreed on with it is not continued without it.
        const auto without = connect(client, "api.example", server.get(), nullptr);
        CHECK_FALSE(without.done);
        CHECK_FALSE(without.resumed);
        CHECK(without.shown.empty());
        CHECK(mentions(without.failure, "asks for a client certificate: [[origin]]"));
        CHECK(connect(client, "api.example", server.get(), how).resumed);
        const auto wrong = connect(client, "api.example", server.get(), showing(TestCa("Other").good("me.example")));
        CHECK_FALSE(wrong.done);
        CHECK(mentions(wrong.failure, "refused the client certificate of the [[origin]] at p.toml:3 (unknown CA)"));
        // Nobody who does not ask sees it.
        const auto plain = testing::make_server(ca.good("api.example"));
        const auto unasked = connect(client, "api.example", plain.get(), how);
        CHECK(unasked.done);
        CHECK(unasked.shown.empty());
    }
}

TEST_CASE("origin: min_tls = \"1.3\" ends with an origin that speaks less, and says so") {
    const TestCa ca;
    const tls::ClientContext client(ca.pem());
    const auto server = testing::make_server(ca.good("api.example"));
    const auto only13 = options({}, true);
    CHECK(connect(client, "api.example", server.get(), only13).done);
    SSL_CTX_set_max_proto_version(server.get(), TLS1_2_VERSION);
    CHECK(connect(client, "api.example", server.get(), nullptr).done);
    const auto refused = connect(client, "api.example", server.get(), only13);
    CHECK_FALSE(refused.done);
    CHECK(refused.failure == "speaks no TLS 1.3, which the [[origin]] at p.toml:3 asks for");
}

TEST_CASE("origin: options that make the same connections have one id, others never") {
    const TestCa a, b("B");
    const auto identity = a.good("me.example");
    CHECK(trusting(a)->id == trusting(a)->id);
    CHECK(trusting(a)->id != trusting(b)->id);
    CHECK(showing(identity)->id == showing(identity)->id);
    CHECK(showing(identity)->id != showing(a.good("me.example"))->id);
    CHECK(options({})->id != options({}, true)->id);
    tls::OriginFiles authority;  // the same certificate in two roles
    authority.authorities = tls::read_certificates(testing::to_pem(identity.certificate.get())).value();
    CHECK(options(std::move(authority))->id != showing(identity)->id);
}

TEST_CASE("origin: files that are not what they should be are errors that say what they are") {
    const TestCa ca;
    const auto one = ca.good("a.example"), other = ca.good("b.example");
    const auto certificate = testing::to_pem(one.certificate.get());
    const auto key = testing::to_pem(one.key.get());
    const auto error = [](const auto& result) { return result ? std::string() : result.error().detail; };
    CHECK(mentions(error(tls::read_certificates("")), "no certificate"));
    CHECK(mentions(error(tls::read_certificates(key)), "no certificate"));
    CHECK(mentions(
        error(tls::read_certificates(certificate + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
        "cannot be read"));
    CHECK(tls::read_certificates("# comment\n" + certificate + "text\n" + ca.pem()).value().size() == 2);
    CHECK(error(tls::read_identity(certificate, key)).empty());
    CHECK(error(tls::read_identity(certificate + key, certificate + key)).empty());
    CHECK(tls::read_identity(certificate + ca.pem(), key).value().issuers.size() == 1);
    CHECK(mentions(error(tls::read_identity(certificate, testing::to_pem(other.key.get()))),
                   "not that of the certificate"));
    CHECK(mentions(error(tls::read_identity(certificate, "nothing")), "no private key"));
    CHECK(mentions(error(tls::read_identity("nothing", key)), "client certificate's file holds no certificate"));
    CHECK(mentions(error(tls::read_identity(certificate, testing::to_pem(one.key.get(), "passphrase"))), "passphrase"));
}
