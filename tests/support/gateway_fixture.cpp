#include "tests/support/gateway_fixture.hpp"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <fstream>
#include <future>
#include <stdexcept>

#include "gateway/session/session.hpp"
#include "tests/support/fake_dns.hpp"
#include "tests/support/rules.hpp"

namespace sallyport::test {
namespace {

namespace asio = boost::asio;

}  // namespace

struct GatewayFixture::Parts {
    Parts(const std::string& toml, const std::string& audit_file, session::TimeLimits limits)
        : rules(rules_of(toml)),
          audit(audit_file),
          watchdog(io.get_executor()),
          dns(io),
          resolver(io.get_executor(), dns.where()),
          gateway{rules, server_tls, leaves, addresses, dialler, pool, watchdog, audit, limits} {
        dns.address("origin.test", "127.0.0.1");
        dns.address("other.test", "127.0.0.1");
    }

    asio::io_context io{1};
    session::LiveRules rules;
    audit::Audit audit;
    tls::Authority authority = tls::Authority::ephemeral();
    tls::LeafCache leaves{authority};
    tls::ServerContext server_tls;
    tls::ClientContext client_tls{origin_ca().pem()};
    dns::VirtualAddresses addresses;
    net::Watchdog watchdog;
    testing::FakeDns dns;
    net::Resolver resolver;
    net::Dialler dialler{resolver};
    http::OriginPool pool{dialler, client_tls, watchdog};
    session::Gateway gateway;
    std::thread thread;
};

GatewayFixture::GatewayFixture(const std::string& policy_toml, session::TimeLimits limits)
    : audit_file_(temporary_file()), parts_(std::make_unique<Parts>(policy_toml, audit_file_, limits)) {
    parts_->thread = std::thread([&io = parts_->io] {
        const auto guard = asio::make_work_guard(io);
        io.run();
    });
}

GatewayFixture::~GatewayFixture() {
    end();
    ::unlink(audit_file_.c_str());
}

void GatewayFixture::end() {
    if (!parts_) return;
    asio::post(parts_->io, [this] { parts_->watchdog.end_all({ErrorKind::cancelled, "the test is over"}); });
    // What is under way ends first: it refers to what dies with the parts.
    const auto limit = net::Clock::now() + std::chrono::seconds(5);
    std::function<void()> stop = [this, &stop, limit] {
        if (parts_->watchdog.sessions() == 0 || net::Clock::now() > limit) return parts_->io.stop();
        asio::post(parts_->io, stop);
    };
    asio::post(parts_->io, stop);
    parts_->thread.join();
    parts_.reset();
}

std::size_t GatewayFixture::replace_policy(const std::string& toml) {
    auto rules = rules_of(toml);
    std::promise<std::size_t> ended;
    asio::post(parts_->io, [&] { ended.set_value(parts_->rules.replace(std::move(rules))); });
    return ended.get_future().get();
}

std::vector<nlohmann::json> GatewayFixture::finish() {
    end();
    std::vector<nlohmann::json> events;
    std::ifstream in(audit_file_);
    for (std::string line; std::getline(in, line);) events.push_back(nlohmann::json::parse(line));
    return events;
}

const testing::TestCa& GatewayFixture::origin_ca() {
    static const testing::TestCa ca;
    return ca;
}

template <class Serve>
WirePeer GatewayFixture::connect(Serve serve) {
    auto [ours, theirs] = connected_pair();
    auto run = [](Parts& parts, int fd, Serve inner) -> asio::awaitable<void> {
        net::Lifeline lifeline(parts.gateway.watchdog);
        net::Stream stream(net::Socket(parts.io, asio::ip::tcp::v4(), fd), lifeline);
        co_await inner(parts.gateway, stream);
    };
    asio::co_spawn(parts_->io, run(*parts_, theirs.release(), std::move(serve)), asio::detached);
    return WirePeer(std::move(ours));
}

WirePeer GatewayFixture::http_client(std::string name, std::uint16_t port) {
    const session::ConnectionFacts facts{false, std::move(name), port};
    return connect([facts](session::Gateway& gateway, net::Stream& stream) -> asio::awaitable<void> {
        session::Http1Service service(gateway, stream, facts, {});
        co_await service.run();
    });
}

WirePeer GatewayFixture::client(std::string name, std::uint16_t port) {
    const policy::Destination dialled{std::move(name), port};
    return connect([dialled](session::Gateway& gateway, net::Stream& stream) -> asio::awaitable<void> {
        session::Session session(gateway, stream, {}, {}, dialled);
        co_await session.run();
    });
}

WirePeer GatewayFixture::tls_client(const std::string& name, std::uint16_t port, const std::string& protocol) {
    const tls::SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), parts_->authority.certificate());
    tls::SslPtr ssl(SSL_new(context.get()));
    const auto offered = tls::alpn_wire_format({protocol});
    SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(offered.data()),
                        static_cast<unsigned>(offered.size()));
    SSL_set_tlsext_host_name(ssl.get(), name.c_str());
    SSL_set1_host(ssl.get(), name.c_str());
    SSL_set_connect_state(ssl.get());
    auto peer = client(name, port);
    const auto failed = peer.start_tls(std::move(ssl));
    if (!failed.empty()) throw std::runtime_error("no TLS with the gateway: " + failed);
    const unsigned char* taken = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(peer.ssl(), &taken, &size);
    if (std::string(reinterpret_cast<const char*>(taken), size) != protocol)
        throw std::runtime_error("the gateway does not take " + protocol);
    return peer;
}

}  // namespace sallyport::test
