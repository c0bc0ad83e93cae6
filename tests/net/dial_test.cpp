#include "gateway/net/dial.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <optional>

#include "gateway/base/unique_fd.hpp"
#include "gateway/net/dialler.hpp"
#include "tests/support/fake_dns.hpp"
#include "tests/support/run_task.hpp"

using namespace sallyport;
using namespace std::chrono_literals;
using net::Clock;
using Socket = boost::asio::ip::tcp::socket;

namespace {

struct World {
    boost::asio::io_context io;
    testing::FakeDns dns{io};
    net::Watchdog watchdog{io.get_executor()};
    net::Lifeline lifeline{watchdog};
    net::Resolver resolver{io.get_executor(), dns.where()};

    auto start(const std::string& host, std::uint16_t port, net::DialRules rules, Clock::duration time = 10s) {
        return testing::start(io, net::dial(resolver, lifeline, host, port, std::move(rules), Clock::now() + time));
    }
    Result<Socket> dial(const std::string& host, std::uint16_t port, net::DialRules rules = {true, nullptr},
                        Clock::duration time = 10s) {
        return testing::finish(io, start(host, port, std::move(rules), time));
    }
};

/// As in the gateway: the lifeline is part of the coroutine that waits.
boost::asio::awaitable<Result<Socket>> dial_in_session(World& world, std::string host, std::uint16_t port) {
    net::Lifeline lifeline(world.watchdog);
    co_return co_await net::dial(world.resolver, lifeline, std::move(host), port, {true, nullptr}, Clock::now() + 10s);
}

/// A listening socket. Without room its backlog is full, and further connections hang as if packets were lost.
class Listener {
public:
    explicit Listener(const char* address, std::uint16_t port = 0) : where_{IpAddress::parse(address).value(), port} {
        sockaddr_storage storage{};
        socklen_t size = where_.to_sockaddr(storage);
        fd_.reset(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd_ || ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) return;
        if (::listen(fd_.get(), 16) != 0) return;
        size = sizeof storage;
        ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&storage), &size);
        where_ = Endpoint::from_sockaddr(storage).value();
        listening_ = true;
    }

    bool listening() const { return listening_; }
    std::uint16_t port() const { return where_.port; }
    bool has_connection() const { return UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)).get() >= 0; }
    void fill() {
        REQUIRE(::listen(fd_.get(), 0) == 0);
        sockaddr_storage storage{};
        const socklen_t size = where_.to_sockaddr(storage);
        for (auto& filler : fillers_) {
            filler.reset(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            ::connect(filler.get(), reinterpret_cast<sockaddr*>(&storage), size);
        }
    }

private:
    Endpoint where_;
    UniqueFd fd_;
    UniqueFd fillers_[4];
    bool listening_ = false;
};

long open_files() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

std::string peer(const Result<Socket>& socket) {
    return socket ? socket->remote_endpoint().address().to_string() : "error: " + socket.error().detail;
}

}  // namespace

TEST_CASE("dial: a name is resolved and connected to, without blocking and out of reach of child processes") {
    World world;
    Listener origin("127.0.0.1");
    world.dns.address("api.example", "127.0.0.1");
    auto socket = world.dial("api.example", origin.port());
    REQUIRE_MESSAGE(socket.has_value(), socket.error().detail);
    CHECK(origin.has_connection());
    CHECK((::fcntl(socket->native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(socket->native_handle(), F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("dial: the text of an address needs no name server, in either family") {
    World world;
    Listener four("127.0.0.2");
    CHECK(peer(world.dial("127.0.0.2", four.port())) == "127.0.0.2");
    Listener six("::1");
    if (six.listening()) {
        CHECK(peer(world.dial("::1", six.port())) == "::1");
    } else {
        MESSAGE("skipped: no IPv6 loopback here");
        CHECK(std::getenv("CI") == nullptr);
    }
    CHECK(world.dns.questions() == 0);
}

TEST_CASE("dial: a name that leads to a private address is refused before anything is sent to it") {
    World world;
    Listener inside("127.0.0.1");
    world.dns.address("rebind.example", "127.0.0.1");
    const auto refused = world.dial("rebind.example", inside.port(), {});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == ErrorKind::refused);
    CHECK(refused.error().detail ==
          "rebind.example resolves to 127.0.0.1, a loopback address: private = true in the rule allows it");
    CHECK_FALSE(inside.has_connection());

    const auto literal = world.dial("169.254.169.254", 80, {});
    REQUIRE_FALSE(literal.has_value());
    CHECK(literal.error().detail ==
          "169.254.169.254 is a link-local address (cloud metadata): private = true in the rule allows it");
}

TEST_CASE("dial: of a mixed answer only the public addresses are left") {
    const auto ip = [](const char* text) { return IpAddress::parse(text).value(); };
    const std::vector<IpAddress> mixed{ip("10.0.0.1"), ip("192.0.2.1"), ip("::1"), ip("2001:db8::1"), ip("198.18.0.1")};
    const auto left = net::permitted_addresses("mixed.example", mixed, {});
    REQUIRE(left.has_value());
    CHECK(*left == std::vector<IpAddress>{ip("192.0.2.1"), ip("2001:db8::1")});
    CHECK(net::permitted_addresses("mixed.example", mixed, {true, nullptr}).value() == mixed);
    const auto none = net::permitted_addresses("inside.example", {ip("10.0.0.1"), ip("::1")}, {});
    REQUIRE_FALSE(none.has_value());
    CHECK(none.error().kind == ErrorKind::refused);
    CHECK(none.error().detail ==
          "inside.example resolves to 10.0.0.1, a private address: private = true in the rule allows it");
}

TEST_CASE("dial: the gateway's own addresses are refused though they are public") {
    World world;
    const auto own = std::make_shared<const net::AddressSet>(net::AddressSet{IpAddress::parse("203.0.113.9").value()});
    world.dns.address("self.example", "203.0.113.9");
    const auto refused = world.dial("self.example", 443, {false, own});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == ErrorKind::refused);
    CHECK(refused.error().detail.find("an address of the gateway itself") != std::string::npos);
}

TEST_CASE("dial: a refused connection makes the next address start at once") {
    World world;
    Listener origin("127.0.0.4");
    for (const char* address : {"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"})
        world.dns.address("api.example", address);
    auto fastest = Clock::duration::max();  // of several: a machine that is busy may hold up any one
    for (int i = 0; i < 10 && fastest >= 200ms; ++i) {
        const auto before = Clock::now();
        CHECK(peer(world.dial("api.example", origin.port())) == "127.0.0.4");
        fastest = std::min(fastest, Clock::now() - before);
    }
    CHECK(fastest < 200ms);  // a single wait is 250 ms
}

TEST_CASE("dial: an address that hangs is overtaken after a quarter of a second, and its attempt is closed") {
    World world;
    Listener hanging("127.0.0.5");
    Listener origin("127.0.0.6", hanging.port());
    REQUIRE(origin.listening());
    hanging.fill();
    world.dns.address("api.example", "127.0.0.5");
    world.dns.address("api.example", "127.0.0.6");
    const auto before = Clock::now();
    CHECK(peer(world.dial("api.example", origin.port())) == "127.0.0.6");
    // c-ares may have put the good one first (RFC 6724 does not tell them apart): then there was nothing to wait for.
    CHECK(Clock::now() - before < 1s);
    CHECK(origin.has_connection());
    CHECK_FALSE(origin.has_connection());
}

TEST_CASE("dial: nobody listens, nobody answers, no such name: three errors that say so") {
    World world;
    std::uint16_t closed_port = 0;
    {
        Listener gone("127.0.0.1");
        closed_port = gone.port();
    }
    world.dns.address("api.example", "127.0.0.1");
    const auto unreachable = world.dial("api.example", closed_port);
    REQUIRE_FALSE(unreachable.has_value());
    CHECK(unreachable.error().kind == ErrorKind::unreachable);
    const std::string port = std::to_string(closed_port);
    CHECK(unreachable.error().detail == "api.example:" + port + ": Connection refused (127.0.0.1:" + port + ")");

    Listener hanging("127.0.0.7");
    hanging.fill();
    const auto before = Clock::now();
    const long open_before = open_files();
    const auto late = world.dial("127.0.0.7", hanging.port(), {true, nullptr}, 100ms);
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().kind == ErrorKind::timed_out);
    CHECK(open_files() == open_before);  // the attempt does not go on behind our back
    CHECK(Clock::now() - before < 1500ms);

    const auto unresolved = world.dial("missing.example", 443);
    REQUIRE_FALSE(unresolved.has_value());
    CHECK(unresolved.error().kind == ErrorKind::unresolved);
}

TEST_CASE("dial: it ends with the session, whatever it is waiting for") {
    World world;
    Listener hanging("127.0.0.8");
    hanging.fill();
    world.dns.silence("silent.example");
    const auto connecting = world.start("127.0.0.8", hanging.port(), {true, nullptr});
    const auto resolving = world.start("silent.example", 443, {});
    world.io.poll();
    world.watchdog.end_all({ErrorKind::cancelled, "shutting down"});
    CHECK(testing::finish(world.io, connecting).error().detail == "shutting down");
    CHECK(testing::finish(world.io, resolving).error().detail == "shutting down");
}

TEST_CASE("dial: an io_context that is thrown away with an attempt under way") {
    Listener hanging("127.0.0.9");
    hanging.fill();
    auto world = std::make_unique<World>();
    const auto connecting = testing::start(world->io, dial_in_session(*world, "127.0.0.9", hanging.port()));
    world->io.poll();
    world.reset();  // the address sanitizer looks on
    CHECK_FALSE(connecting->has_value());
}

TEST_CASE("dial: beyond as many as may be under way none is begun, and afterwards there is room again") {
    World world;
    world.lifeline.expect_within(30s, "a test");
    net::Dialler dialler(world.resolver);
    Listener origin("127.0.0.1");
    world.dns.silence("silent.example");
    std::vector<std::shared_ptr<std::optional<Result<Socket>>>> dials;
    net::Lifeline flood(world.watchdog);
    flood.expect_within(30s, "a test");
    for (std::size_t i = 0; i < net::Dialler::kMaxUnderWay; ++i)
        dials.push_back(testing::start(world.io, dialler.dial(flood, "silent.example", 443, true)));
    const auto one_more = [&] {
        return testing::run(world.io, dialler.dial(world.lifeline, "127.0.0.1", origin.port(), true));
    };
    const auto refused = one_more();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == ErrorKind::unavailable);
    CHECK(refused.error().detail == "127.0.0.1: too many connections to origins are being made");
    CHECK_FALSE(origin.has_connection());
    flood.end({ErrorKind::cancelled, "given up"});
    for (const auto& dial : dials) CHECK_FALSE(testing::finish(world.io, dial).has_value());
    CHECK(one_more().has_value());
}
