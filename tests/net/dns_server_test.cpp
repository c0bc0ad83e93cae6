#include "gateway/dns/server.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <boost/asio/post.hpp>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <thread>

#include "gateway/base/startup_error.hpp"
#include "gateway/wire/dns_message.hpp"

using namespace sallyport;

namespace {

using Bytes = std::vector<std::uint8_t>;

std::shared_ptr<const policy::Policy> make_policy(const char* host) {
    policy::Rule rule;
    std::string error;
    rule.hosts.push_back(policy::HostPattern::parse(host, error).value());
    return std::make_shared<policy::Policy>(std::vector{rule}, std::vector<policy::SecretRule>{},
                                            std::vector<policy::Route>{});
}

Bytes query(std::string_view name, std::uint8_t id = 0) {
    Bytes message{0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    const auto encoded = wire::encode_dns_name(name);
    message.insert(message.end(), encoded.begin(), encoded.end());
    message.insert(message.end(), {0, 1, 0, 1});
    return message;
}

Bytes framed(const Bytes& message) {
    Bytes out{static_cast<std::uint8_t>(message.size() >> 8), static_cast<std::uint8_t>(message.size())};
    out.insert(out.end(), message.begin(), message.end());
    return out;
}

unsigned rcode(const Bytes& reply) { return reply.at(3) & 0xf; }

/// A socket on loopback; an empty one where the machine has no IPv6.
UniqueFd bound(int family, int type) {
    UniqueFd fd(::socket(family, type | SOCK_CLOEXEC, 0));
    if (!fd) return {};
    sockaddr_storage address{};
    const Endpoint loopback{*IpAddress::parse(family == AF_INET ? "127.0.0.1" : "::1"), 0};
    const auto length = loopback.to_sockaddr(address);
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) return {};
    if (type == SOCK_STREAM) REQUIRE(::listen(fd.get(), 128) == 0);
    return fd;
}

sockaddr_storage local_address(int fd, socklen_t& length) {
    sockaddr_storage address{};
    length = sizeof address;
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    return address;
}

/// A server in a thread of its own, and clients that wait at most five seconds.
class Fixture {
public:
    explicit Fixture(dns::Server::Limits limits = {}) {
        dns::Sockets sockets;
        for (const int family : {AF_INET, AF_INET6}) {
            auto udp = bound(family, SOCK_DGRAM);
            auto tcp = bound(family, SOCK_STREAM);
            if (!udp || !tcp) continue;
            udp_.push_back(local_address(udp.get(), length_[family == AF_INET6]));
            tcp_.push_back(local_address(tcp.get(), length_[family == AF_INET6]));
            sockets.udp.push_back(std::move(udp));
            sockets.tcp.push_back(std::move(tcp));
        }
        server_ = std::make_unique<dns::Server>(
            context_, std::move(sockets), addresses, [this] { return std::atomic_load(&policy); },
            [this](const dns::DeniedName& name) { denied.push_back(name.name); }, limits);
        thread_ = std::thread([this] { context_.run(); });
    }
    ~Fixture() { stop(); }

    void stop() {
        boost::asio::post(context_, [this] { server_.reset(); });
        if (thread_.joinable()) thread_.join();  // ends by itself: no coroutine may be left waiting
    }

    UniqueFd connect(int type, std::size_t index = 0) const {
        const auto& address = (type == SOCK_DGRAM ? udp_ : tcp_).at(index);
        UniqueFd fd(::socket(address.ss_family, type | SOCK_CLOEXEC, 0));
        const timeval limit{5, 0};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length_[index]) == 0);
        return fd;
    }
    std::size_t families() const { return udp_.size(); }

    std::shared_ptr<dns::VirtualAddresses> addresses = std::make_shared<dns::VirtualAddresses>();
    std::shared_ptr<const policy::Policy> policy = make_policy("*.example.com");
    std::vector<std::string> denied;  ///< read it after stop()

private:
    boost::asio::io_context context_;
    std::vector<sockaddr_storage> udp_, tcp_;
    socklen_t length_[2] = {};
    std::unique_ptr<dns::Server> server_;
    std::thread thread_;
};

void send_all(const UniqueFd& fd, const Bytes& bytes) {
    REQUIRE(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
}

Bytes receive_datagram(const UniqueFd& fd) {
    Bytes reply(2000);
    const auto got = ::recv(fd.get(), reply.data(), reply.size(), 0);
    REQUIRE(got > 0);
    reply.resize(static_cast<std::size_t>(got));
    return reply;
}

/// `count` bytes, or fewer at the end of the stream.
Bytes receive_stream(const UniqueFd& fd, std::size_t count) {
    Bytes out(count);
    std::size_t size = 0;
    while (size < count) {
        const auto got = ::recv(fd.get(), out.data() + size, count - size, 0);
        if (got == 0 || (got < 0 && errno == ECONNRESET)) break;
        REQUIRE(got > 0);
        size += static_cast<std::size_t>(got);
    }
    out.resize(size);
    return out;
}

Bytes receive_message(const UniqueFd& fd) {
    const auto prefix = receive_stream(fd, 2);
    REQUIRE(prefix.size() == 2);
    return receive_stream(fd, static_cast<std::size_t>(prefix[0]) << 8 | prefix[1]);
}

bool closed(const UniqueFd& fd) { return receive_stream(fd, 1).empty(); }

}  // namespace

TEST_CASE("dns server: answers over UDP and TCP, IPv4 and IPv6") {
    Fixture fixture;
    if (fixture.families() < 2) {
        MESSAGE("skipped: the IPv6 half, since this machine has no ::1");
        CHECK(std::getenv("CI") == nullptr);
    }
    for (std::size_t family = 0; family < fixture.families(); ++family) {
        const auto udp = fixture.connect(SOCK_DGRAM, family);
        send_all(udp, query("a.example.com", 42));
        const auto reply = receive_datagram(udp);
        CHECK(reply[1] == 42);
        CHECK(reply[7] == 1);
        const auto tcp = fixture.connect(SOCK_STREAM, family);
        send_all(tcp, framed(query("a.example.com", 43)));
        const auto message = receive_message(tcp);
        CHECK(message[1] == 43);
        CHECK(Bytes(message.end() - 4, message.end()) == Bytes(reply.end() - 4, reply.end()));
    }
}

TEST_CASE("dns server: a burst larger than one batch is answered whole") {
    Fixture fixture;
    const auto udp = fixture.connect(SOCK_DGRAM);
    for (int i = 0; i < 200; ++i) send_all(udp, query("a.example.com", static_cast<std::uint8_t>(i)));
    for (int i = 0; i < 200; ++i) CHECK(receive_datagram(udp).at(1) == i);
}

TEST_CASE("dns server: hostile datagrams get an error or nothing, and the next question an answer") {
    Fixture fixture;
    const auto udp = fixture.connect(SOCK_DGRAM);
    send_all(udp, {1, 2, 3});
    auto response = query("a.example.com");
    response[2] = 0x80;
    send_all(udp, response);
    ::send(udp.get(), nullptr, 0, 0);
    Bytes huge = query("a.example.com", 7);
    huge.resize(9000);
    send_all(udp, huge);
    send_all(udp, query("a.example.com", 8));
    const auto error = receive_datagram(udp);
    CHECK(error[1] == 7);
    CHECK(rcode(error) == 1);
    CHECK(receive_datagram(udp).at(1) == 8);
}

TEST_CASE("dns server: TCP questions may come byte by byte or several at once") {
    Fixture fixture;
    const auto tcp = fixture.connect(SOCK_STREAM);
    for (const auto byte : framed(query("a.example.com", 1))) send_all(tcp, {byte});
    CHECK(receive_message(tcp).at(1) == 1);
    Bytes three;
    for (const auto id : {std::uint8_t{2}, std::uint8_t{3}, std::uint8_t{4}}) {
        const auto message = framed(query("a.example.com", id));
        three.insert(three.end(), message.begin(), message.end());
    }
    send_all(tcp, three);
    for (const int id : {2, 3, 4}) CHECK(receive_message(tcp).at(1) == id);
}

TEST_CASE("dns server: a TCP message that is too long, or no question, ends its connection only") {
    Fixture fixture;
    const auto bystander = fixture.connect(SOCK_STREAM);
    const auto too_long = fixture.connect(SOCK_STREAM);
    send_all(too_long, {0xff, 0xff});
    CHECK(closed(too_long));
    const auto empty = fixture.connect(SOCK_STREAM);
    send_all(empty, {0, 0});
    CHECK(closed(empty));
    send_all(bystander, framed(query("a.example.com", 9)));
    CHECK(receive_message(bystander).at(1) == 9);
}

TEST_CASE("dns server: connections beyond the limit are closed, and there is room again when one ends") {
    Fixture fixture({.connections = 2, .message_deadline = std::chrono::seconds(60)});
    const auto serves = [](const UniqueFd& fd) {
        send_all(fd, framed(query("a.example.com")));
        return receive_message(fd).size() > 12;
    };
    const auto first = fixture.connect(SOCK_STREAM);
    auto second = fixture.connect(SOCK_STREAM);
    CHECK(serves(first));
    CHECK(serves(second));
    CHECK(closed(fixture.connect(SOCK_STREAM)));
    ::shutdown(second.get(), SHUT_WR);
    CHECK(closed(second));
    CHECK(serves(fixture.connect(SOCK_STREAM)));
    CHECK(serves(first));
}

TEST_CASE("dns server: a connection that says nothing, or not all, is closed at the deadline") {
    Fixture fixture({.connections = 64, .message_deadline = std::chrono::milliseconds(50)});
    const auto silent = fixture.connect(SOCK_STREAM);
    const auto half = fixture.connect(SOCK_STREAM);
    send_all(half, {0, 40, 1});
    CHECK(closed(silent));
    CHECK(closed(half));
}

TEST_CASE("dns server: a refused name is reported once, an allowed one never") {
    Fixture fixture;
    const auto udp = fixture.connect(SOCK_DGRAM);
    for (const auto* name : {"evil.example", "EVIL.example", "evil.example", "a.example.com", "worse.example"}) {
        send_all(udp, query(name));
        receive_datagram(udp);
    }
    fixture.stop();
    CHECK(fixture.denied == std::vector<std::string>{"evil.example", "worse.example"});
}

TEST_CASE("dns server: a new policy counts from the next question on") {
    Fixture fixture;
    const auto udp = fixture.connect(SOCK_DGRAM);
    send_all(udp, query("b.example.net"));
    CHECK(rcode(receive_datagram(udp)) == 3);
    std::atomic_store(&fixture.policy, make_policy("b.example.net"));
    send_all(udp, query("b.example.net"));
    CHECK(rcode(receive_datagram(udp)) == 0);
    send_all(udp, query("a.example.com"));
    CHECK(rcode(receive_datagram(udp)) == 3);
}

TEST_CASE("dns server: stopped, nothing is answered and no coroutine is left") {
    Fixture fixture({.connections = 64, .message_deadline = std::chrono::seconds(20)});
    const auto tcp = fixture.connect(SOCK_STREAM);
    send_all(tcp, framed(query("a.example.com")));
    receive_message(tcp);
    const auto udp = fixture.connect(SOCK_DGRAM);
    const auto started = std::chrono::steady_clock::now();
    fixture.stop();
    CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds(10));  // and not at the deadline
    CHECK(closed(tcp));
    send_all(udp, query("a.example.com"));
    char byte = 0;
    CHECK(::recv(udp.get(), &byte, 1, 0) == -1);
    CHECK(errno == ECONNREFUSED);
}

TEST_CASE("dns server: a descriptor of the wrong kind stops the start") {
    boost::asio::io_context context;
    dns::Sockets sockets;
    sockets.udp.push_back(bound(AF_INET, SOCK_STREAM));
    CHECK_THROWS_AS(dns::Server(
                        context, std::move(sockets), std::make_shared<dns::VirtualAddresses>(),
                        [] { return make_policy("a.example"); }, [](const dns::DeniedName&) {}, {}),
                    StartupError);
}
