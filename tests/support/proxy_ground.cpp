#include "tests/support/proxy_ground.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>
#include <stdexcept>
#include <thread>

#include "gateway/base/startup_error.hpp"
#include "tests/support/fake_dns.hpp"
#include "tests/support/rules.hpp"

namespace sallyport::test {
namespace {

namespace asio = boost::asio;

/// On a port of 127.0.0.1; 0: any, which is then told.
UniqueFd bound(int type, std::uint16_t& port) {
    UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof address;
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        (type == SOCK_STREAM && ::listen(fd.get(), 4096) != 0) ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw system_error("a socket on loopback", errno);
    port = ntohs(address.sin_port);
    return fd;
}

}  // namespace

struct ProxyGround::Parts {
    Parts(const std::string& toml, ProxyGroundOptions options)
        : own_file(options.audit_file.empty() ? temporary_file() : std::string()),
          audit_file(own_file.empty() ? options.audit_file : own_file),
          rules(rules_of(toml)),
          audit(std::in_place, audit_file) {
        for (const char* name : {"api.test", "other.test", "origin.test"}) dns.address(name, "127.0.0.1");
        container::GatewaySockets sockets;
        sockets.proxy4 = bound(SOCK_STREAM, port);
        sockets.dns_tcp4 = bound(SOCK_STREAM, dns_port);  // first: it is the rarer port
        sockets.dns_udp4 = bound(SOCK_DGRAM, dns_port);
        app::ProxyOptions with{options.limits, origin_ca().pem(), dns.where()};
        with.most_sessions = options.most_sessions;
        proxy.emplace(io, rules, authority, *audit, std::move(sockets), with);
        thread = std::thread([this] {
            block_sigpipe();
            const auto guard = asio::make_work_guard(io);
            io.run();
        });
    }
    ~Parts() {
        end();
        if (!own_file.empty()) ::unlink(own_file.c_str());
    }

    void end() {
        if (!thread.joinable()) return;
        asio::post(io, [this] { proxy->stop(); });
        std::function<void()> stop = [this, &stop, limit = net::Clock::now() + std::chrono::seconds(5)] {
            if (proxy->under_way() == 0 || net::Clock::now() > limit) return io.stop();
            asio::post(io, stop);
        };
        asio::post(io, stop);
        thread.join();
        io.restart();
        io.poll();
        audit.reset();
    }

    template <class F>
    auto on_its_thread(F f) {
        std::promise<decltype(f())> value;
        asio::post(io, [&] { value.set_value(f()); });
        return value.get_future().get();
    }

    const std::string own_file, audit_file;
    std::uint16_t port = 0, dns_port = 0;
    asio::io_context io{1};
    testing::FakeDns dns{io};
    session::LiveRules rules;
    std::optional<audit::Audit> audit;
    tls::Authority authority = tls::Authority::ephemeral();
    std::optional<app::Proxy> proxy;
    std::thread thread;
};

ProxyGround::ProxyGround(const std::string& policy_toml, ProxyGroundOptions options)
    : parts_(std::make_unique<Parts>(policy_toml, std::move(options))) {}
ProxyGround::~ProxyGround() = default;

const testing::TestCa& ProxyGround::origin_ca() {
    static const testing::TestCa kCa;
    return kCa;
}

std::uint16_t ProxyGround::port() const { return parts_->port; }
std::uint16_t ProxyGround::dns_port() const { return parts_->dns_port; }
const std::string& ProxyGround::ca_pem() const { return parts_->authority.certificate_pem(); }

WirePeer ProxyGround::connect() const { return WirePeer(connect_to_loopback(parts_->port)); }

WirePeer ProxyGround::tunnel(const std::string& name, std::uint16_t port) const {
    auto peer = connect();
    if (!open_tunnel(peer, name, port)) throw std::runtime_error("no tunnel to " + name);
    return peer;
}

WirePeer ProxyGround::tls(const std::string& name, std::uint16_t port, const std::string& protocol) const {
    auto ssl = client_ssl(client_context(ca_pem()), name, protocol);  // first: a silent client is the server's to greet
    auto peer = tunnel(name, port);
    const auto failed = peer.start_tls(std::move(ssl));
    if (!failed.empty()) throw std::runtime_error("no TLS with the gateway: " + failed);
    const unsigned char* taken = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(peer.ssl(), &taken, &size);
    if (std::string(reinterpret_cast<const char*>(taken), size) != protocol)
        throw std::runtime_error("the gateway does not take " + protocol);
    return peer;
}

std::size_t ProxyGround::sessions() const {
    return parts_->on_its_thread([this] { return parts_->proxy->sessions(); });
}

std::size_t ProxyGround::under_way() const {
    return parts_->on_its_thread([this] { return parts_->proxy->under_way(); });
}

std::vector<nlohmann::json> ProxyGround::finish() {
    parts_->end();
    std::vector<nlohmann::json> events;
    std::ifstream in(parts_->audit_file);
    for (std::string line; std::getline(in, line);) events.push_back(nlohmann::json::parse(line));
    return events;
}

bool open_tunnel(WirePeer& peer, const std::string& name, std::uint16_t port) {
    peer.send(fmt::format("CONNECT {0}:{1} HTTP/1.1\r\nHost: {0}:{1}\r\n\r\n", name, port));
    return peer.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 ");
}

tls::SslCtxPtr client_context(const std::string& ca_pem) {
    tls::SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
    const tls::BioPtr text(BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size())));
    const tls::X509Ptr ca(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    return context;
}

tls::SslPtr client_ssl(const tls::SslCtxPtr& context, const std::string& name, const std::string& protocol) {
    tls::SslPtr ssl(SSL_new(context.get()));
    const auto offered = tls::alpn_wire_format({protocol});
    SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(offered.data()),
                        static_cast<unsigned>(offered.size()));
    SSL_set_tlsext_host_name(ssl.get(), name.c_str());
    SSL_set1_host(ssl.get(), name.c_str());
    SSL_set_connect_state(ssl.get());
    return ssl;
}

bool comes_true(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        ::poll(nullptr, 0, 10);
    }
    return true;
}

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator open("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(open), end(open)));
}

std::size_t resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    std::size_t size = 0, resident = 0;
    statm >> size >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace sallyport::test
