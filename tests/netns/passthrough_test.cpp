// tls = "passthrough": for hosts with pinned certificates or mutual TLS.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <atomic>
#include <thread>

#include "tests/support/sealed_gateway.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::vector<std::pair<std::string, std::string>> kNames = {{"pinned.test", "127.0.0.1"},
                                                                 {"other.test", "127.0.0.1"}};

std::string pass_through(std::uint16_t port, const std::string& more = "") {
    return fmt::format("[[allow]]\nhost = \"pinned.test\"\nport = {}\nprivate = true\ntls = \"passthrough\"\n{}", port,
                       more);
}

/// An origin that takes nobody without a certificate of its own choice.
class MutualTls {
public:
    MutualTls() : server_(ca_.good("pinned.test")), client_(ca_.good("device-1.test")) {}

    tls::SslCtxPtr origin() const {
        auto context = testing::make_server(server_);
        trust(context.get());
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        return context;
    }
    tls::SslPtr client() const {
        const tls::SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
        trust(context.get());
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
        SSL_CTX_use_certificate(context.get(), client_.certificate.get());
        SSL_CTX_use_PrivateKey(context.get(), client_.key.get());
        tls::SslPtr ssl(SSL_new(context.get()));
        SSL_set_connect_state(ssl.get());
        SSL_set_tlsext_host_name(ssl.get(), "pinned.test");
        SSL_set1_host(ssl.get(), "pinned.test");
        return ssl;
    }
    bool is_the_origin(SSL* seen_by_client) const { return shows(seen_by_client, server_); }
    bool is_the_client(SSL* seen_by_origin) const { return shows(seen_by_origin, client_); }

private:
    void trust(SSL_CTX* context) const {
        const tls::BioPtr text(BIO_new_mem_buf(ca_.pem().data(), static_cast<int>(ca_.pem().size())));
        const tls::X509Ptr ca(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca.get());
    }
    static bool shows(SSL* ssl, const testing::Identity& identity) {
        const tls::X509Ptr peer(SSL_get1_peer_certificate(ssl));
        return peer && X509_cmp(peer.get(), identity.certificate.get()) == 0;
    }

    testing::TestCa ca_;
    testing::Identity server_, client_;
};

std::string sha256(std::string_view bytes) {
    unsigned char digest[32];
    EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_sha256(), nullptr);
    return std::string(reinterpret_cast<char*>(digest), sizeof digest);
}

std::string patterned(std::size_t size, std::uint64_t seed) {
    std::string bytes(size, '\0');
    for (auto& byte : bytes)
        byte = static_cast<char>((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
    return bytes;
}

}  // namespace

TEST_CASE("passed through: by SNI alone, dialled by name; pinned certificate, client certificate, half-close, audit") {
    const MutualTls parties;
    std::atomic<bool> knows_client = false;
    WireOrigin origin(
        [&](WirePeer& peer) {
            knows_client = parties.is_the_client(peer.ssl());
            CHECK(peer.read_to_end() == "not HTTP\n");  // ends with the client's half
            peer.send("fine\n");
        },
        parties.origin());
    const auto gateway = SealedGateway::start(pass_through(origin.port()), kNames);
    if (!gateway) return;
    auto client = gateway->connect("192.0.2.7", origin.port());  // where nothing of that name is
    REQUIRE(client.start_tls(parties.client()) == "");
    CHECK(parties.is_the_origin(client.ssl()));
    client.send("not HTTP\n");
    client.shutdown_write();
    CHECK(client.read_to_end() == "fine\n");
    client.close();
    CHECK(knows_client);
    const auto events = gateway->finish();
    REQUIRE(events.size() == 1);
    const auto& event = events[0];
    CHECK(event["decision"] == "allow");
    CHECK(event["host"] == "pinned.test");
    CHECK(event["port"] == origin.port());
    CHECK(event["original_dst"] == fmt::format("192.0.2.7:{}", origin.port()));
    CHECK(event["protocol"] == "tls");
    CHECK(event["reason"] == "passed through");
    CHECK(event["rule"].get<std::string>().ends_with(":1"));
    CHECK(event["bytes_out"] > 500);  // as they were on the wire: hello and certificates are among them
    CHECK(event["bytes_in"] > 500);
    CHECK(event.contains("duration_ms"));
}

TEST_CASE("passed through: 100 MB each way arrive intact, though the origin takes its time") {
    const MutualTls parties;
    const auto up = patterned(100 << 20, 1), down = patterned(100 << 20, 2);
    std::atomic<bool> client_waits = false;
    std::string received;
    WireOrigin origin(
        [&](WirePeer& peer) {
            while (!client_waits) std::this_thread::yield();
            received = sha256(peer.read_exactly(up.size()));
            peer.send(down);
            peer.closed();
        },
        parties.origin());
    const auto gateway = SealedGateway::start(pass_through(origin.port()), kNames);
    if (!gateway) return;
    auto client = gateway->connect("192.0.2.7", origin.port());
    REQUIRE(client.start_tls(parties.client()) == "");
    std::thread sending([&] { client.send(up); });
    while (client.writable_within(300)) continue;
    client_waits = true;
    sending.join();
    const bool intact = sha256(client.read_exactly(down.size())) == sha256(down);
    CHECK(intact);
    client.close();
    const auto events = gateway->finish();
    const bool arrived = received == sha256(up);
    CHECK(arrived);
    REQUIRE(events.size() == 1);
    CHECK(events[0]["bytes_out"] > up.size());
    CHECK(events[0]["bytes_in"] > down.size());
}

TEST_CASE("passed through: what a rule about method or path covers is not, nor is another name on that address") {
    const MutualTls parties;
    WireOrigin origin([](WirePeer&) {}, parties.origin());
    const auto address = "192.0.2.7";
    const auto deny = pass_through(origin.port(), "[[deny]]\nhost = \"pinned.test\"\npath = \"/admin/**\"\n");
    for (const std::string name : {"pinned.test", "other.test"}) {
        CAPTURE(name);
        const auto gateway = SealedGateway::start(name == "pinned.test" ? deny : pass_through(origin.port()), kNames);
        if (!gateway) return;
        auto pinned = gateway->connect(address, origin.port());
        auto ssl = parties.client();
        SSL_set_tlsext_host_name(ssl.get(), name.c_str());
        CHECK(pinned.start_tls(std::move(ssl)) == "certificate verify failed");  // it is the gateway's
        auto client = gateway->connect_tls(address, origin.port(), name);
        client.send(fmt::format("GET / HTTP/1.1\r\nHost: {}:{}\r\n\r\n", name, origin.port()));
        CHECK(client.read_message().starts_with("HTTP/1.1 403 "));
        client.close();
        for (const auto& event : gateway->finish()) CHECK(event["decision"] == "deny");
    }
    CHECK(origin.connections() == 0);
}

TEST_CASE("passed through: a reset of either side reaches the other") {
    const MutualTls parties;
    WireOrigin origin(
        [](WirePeer& peer) {
            const auto said = peer.read_until("\n");
            if (said == "you first\n") return peer.reset();
            if (said != "me first\n") return;
            peer.send("go on\n");
            CHECK(peer.is_reset());
        },
        parties.origin());
    const auto gateway = SealedGateway::start(pass_through(origin.port()), kNames);
    if (!gateway) return;
    auto first = gateway->connect("192.0.2.7", origin.port());
    REQUIRE(first.start_tls(parties.client()) == "");
    first.send("you first\n");
    CHECK(first.is_reset());
    auto second = gateway->connect("192.0.2.7", origin.port());
    REQUIRE(second.start_tls(parties.client()) == "");
    second.send("me first\n");
    CHECK(second.read_until("\n") == "go on\n");
    second.reset();
    auto third = gateway->connect("192.0.2.7", origin.port());  // the origin serves one at a time: the second is over
    REQUIRE(third.start_tls(parties.client()) == "");
    third.close();
    CHECK(gateway->finish().size() == 3);
}
