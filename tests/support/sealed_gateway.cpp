#include "tests/support/sealed_gateway.hpp"

#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <future>
#include <stdexcept>
#include <thread>

#include "gateway/base/startup_error.hpp"
#include "tests/support/rules.hpp"

namespace sallyport::test {
namespace {

namespace asio = boost::asio;

void send_fd(int channel, int fd) {
    char byte = '+';
    iovec data{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (::sendmsg(channel, &message, MSG_NOSIGNAL) != 1) throw system_error("sendmsg", errno);
}

UniqueFd receive_fd(int channel) {
    char byte = 0;
    iovec data{&byte, 1};
    int fd = -1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != 1) throw system_error("recvmsg", errno);
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return UniqueFd(fd);
}

/// A socket of the sandbox, connected by a child in its namespaces.
UniqueFd connected_inside(const Namespaces& inside, int type, const std::string& address, std::uint16_t port) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) throw system_error("socketpair", errno);
    const UniqueFd here(pair[0]);
    const UniqueFd there(pair[1]);
    inside.run([&] {
        const Endpoint to{IpAddress::parse(address).value(), port};
        const UniqueFd fd(::socket(to.address.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
        sockaddr_storage storage{};
        const auto size = to.to_sockaddr(storage);
        if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) throw system_error("connect", errno);
        send_fd(there.get(), fd.get());
        return true;
    });
    return receive_fd(here.get());
}

std::uint16_t port_of(const UniqueFd& listener) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0)
        throw system_error("getsockname", errno);
    return Endpoint::from_sockaddr(storage).value().port;
}

std::string question(const std::string& name) {
    std::string query("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
    for (std::size_t begin = 0; begin <= name.size();) {
        const auto end = std::min(name.find('.', begin), name.size());
        query += static_cast<char>(end - begin) + name.substr(begin, end - begin);
        begin = end + 1;
    }
    return query + std::string("\0\0\1\0\1", 5);  // root, A, IN
}

}  // namespace

struct SealedGateway::Parts {
    Parts(Sealed sealed, const std::string& toml, const std::vector<std::pair<std::string, std::string>>& names,
          session::TimeLimits limits, std::optional<net::OuterProxy> outer_proxy)
        : port(port_of(sealed.sockets.tcp4)),
          inside(std::move(sealed.inside)),
          rules(rules_of(toml)),
          audit(std::in_place, audit_file) {
        for (const auto& [name, address] : names) dns.address(name, address);
        proxy.emplace(io, rules, authority, *audit, std::move(sealed.sockets),
                      app::ProxyOptions{limits, origin_ca().pem(), dns.where(), std::move(outer_proxy)});
        thread = std::thread([this] {
            block_sigpipe();
            const auto guard = asio::make_work_guard(io);
            io.run();
        });
    }
    ~Parts() {
        end();
        ::unlink(audit_file.c_str());
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

    const std::string audit_file = temporary_file();
    const std::uint16_t port;
    Namespaces inside;
    asio::io_context io{1};
    testing::FakeDns dns{io};
    session::LiveRules rules;
    std::optional<audit::Audit> audit;
    tls::Authority authority = tls::Authority::ephemeral();
    std::optional<app::Proxy> proxy;
    std::thread thread;
};

SealedGateway::SealedGateway(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
SealedGateway::~SealedGateway() = default;

std::unique_ptr<SealedGateway> SealedGateway::start(const std::string& policy_toml,
                                                    const std::vector<std::pair<std::string, std::string>>& names,
                                                    session::TimeLimits limits,
                                                    std::optional<net::OuterProxy> outer_proxy) {
    auto sealed = Sealed::create();
    if (!sealed) return nullptr;
    return std::unique_ptr<SealedGateway>(new SealedGateway(
        std::make_unique<Parts>(std::move(*sealed), policy_toml, names, limits, std::move(outer_proxy))));
}

const testing::TestCa& SealedGateway::origin_ca() {
    static const testing::TestCa kCa;
    return kCa;
}

WirePeer SealedGateway::connect(const std::string& address, std::uint16_t port, int type) {
    return WirePeer(connected_inside(parts_->inside, type, address, port));
}

std::string SealedGateway::lookup(const std::string& name) {
    WirePeer dns(connected_inside(parts_->inside, SOCK_DGRAM, "192.0.2.53", 53));
    const auto query = question(name);
    dns.send(query);
    const auto answer = dns.read_exactly(query.size());
    const bool found = answer.size() > 7 && answer[7] == 1;
    if (!found) return {};
    // Name pointer, type, class, time to live and length come before the address.
    const auto record = dns.read_exactly(16);
    return IpAddress::v4({static_cast<std::uint8_t>(record[12]), static_cast<std::uint8_t>(record[13]),
                          static_cast<std::uint8_t>(record[14]), static_cast<std::uint8_t>(record[15])})
        .to_string();
}

tls::SslPtr SealedGateway::tls_client(const std::string& server_name) {
    const tls::SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
    const auto pem = parts_->authority.certificate_pem();
    const tls::BioPtr text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const tls::X509Ptr ca(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    tls::SslPtr ssl(SSL_new(context.get()));
    SSL_set_connect_state(ssl.get());
    if (server_name.empty()) return ssl;
    SSL_set_tlsext_host_name(ssl.get(), server_name.c_str());
    if (!IpAddress::parse(server_name)) SSL_set1_host(ssl.get(), server_name.c_str());
    return ssl;
}

WirePeer SealedGateway::connect_tls(const std::string& address, std::uint16_t port, const std::string& server_name) {
    auto client = connect(address, port);
    if (const auto why = client.start_tls(tls_client(server_name)); !why.empty())
        throw std::runtime_error("no TLS: " + why);
    return client;
}

const Namespaces& SealedGateway::inside() const { return parts_->inside; }
std::uint16_t SealedGateway::port() const { return parts_->port; }

std::size_t SealedGateway::replace_policy(const std::string& toml) {
    auto rules = rules_of(toml);
    std::promise<std::size_t> ended;
    asio::post(parts_->io, [&] { ended.set_value(parts_->rules.replace(std::move(rules))); });
    return ended.get_future().get();
}

std::vector<nlohmann::json> SealedGateway::finish() {
    parts_->end();
    std::vector<nlohmann::json> events;
    std::ifstream in(parts_->audit_file);
    for (std::string line; std::getline(in, line);) events.push_back(nlohmann::json::parse(line));
    return events;
}

const std::map<std::string, int>& SealedGateway::names_asked() const { return parts_->dns.asked(); }

}  // namespace sallyport::test
