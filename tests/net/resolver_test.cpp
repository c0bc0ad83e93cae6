#include "gateway/net/resolver.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "gateway/base/startup_error.hpp"
#include "tests/support/fake_dns.hpp"
#include "tests/support/run_task.hpp"

using namespace sallyport;
using namespace std::chrono_literals;
using net::Clock;
using net::Resolver;
using Addresses = Result<std::vector<IpAddress>>;

namespace {

struct World {
    boost::asio::io_context io;
    testing::FakeDns dns{io};
    net::Watchdog watchdog{io.get_executor()};
    net::Lifeline lifeline{watchdog};
    std::optional<Resolver> resolver{std::in_place, io.get_executor(), dns.where()};

    auto start(const std::string& name, Clock::duration time = 10s) {
        return testing::start(io, resolver->resolve(name, lifeline, Clock::now() + time));
    }
    Addresses resolve(const std::string& name, Clock::duration time = 10s) {
        return testing::finish(io, start(name, time));
    }
};

/// As in the gateway: the lifeline is part of the coroutine that waits.
boost::asio::awaitable<Addresses> resolve_in_session(World& world, std::string name) {
    net::Lifeline lifeline(world.watchdog);
    co_return co_await world.resolver->resolve(std::move(name), lifeline, Clock::now() + 10s);
}

std::vector<std::string> texts(const Addresses& addresses) {
    std::vector<std::string> list;
    REQUIRE_MESSAGE(addresses.has_value(), addresses.error().detail);
    for (const auto& address : *addresses) list.push_back(address.to_string());
    return list;
}

}  // namespace

TEST_CASE("resolver: A without AAAA, AAAA without A") {
    World world;
    world.dns.address("four.example", "192.0.2.1");
    world.dns.address("six.example", "2001:db8::1");
    CHECK(texts(world.resolve("four.example")) == std::vector<std::string>{"192.0.2.1"});
    CHECK(texts(world.resolve("six.example")) == std::vector<std::string>{"2001:db8::1"});
}

TEST_CASE(
    "resolver: a name without a dot is asked of the local servers, any other of the named ones, neither of both") {
    World world;
    testing::FakeDns local(world.io);
    local.address("db", "192.0.2.5");
    local.address("api.example", "192.0.2.66");
    world.dns.address("api.example", "192.0.2.6");
    world.resolver.emplace(world.io.get_executor(), world.dns.where(), local.where());
    CHECK(texts(world.resolve("db")) == std::vector<std::string>{"192.0.2.5"});
    CHECK(texts(world.resolve("api.example")) == std::vector<std::string>{"192.0.2.6"});
    CHECK(world.dns.questions("db") == 0);
    CHECK(local.questions("api.example") == 0);
}

TEST_CASE("resolver: families alternate, doubles are dropped") {
    World world;
    for (const char* text : {"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.2", "::1"})
        world.dns.address("both.example", text);
    const auto found = world.resolve("both.example");
    REQUIRE(found.has_value());
    REQUIRE(found->size() == 4);
    CHECK((*found)[0].is_v4() != (*found)[1].is_v4());
    CHECK(std::ranges::count_if(*found, &IpAddress::is_v4) == 3);
}

TEST_CASE("resolver: a name with many addresses yields no more than the bound") {
    World world;
    for (int i = 1; i <= 40; ++i) world.dns.address("many.example", "192.0.2." + std::to_string(i));
    for (int i = 1; i <= 20; ++i) world.dns.address("many.example", "2001:db8::" + std::to_string(i));
    CHECK(texts(world.resolve("many.example")).size() == Resolver::kMaxAddresses);
}

TEST_CASE("resolver: a chain of aliases is followed, a loop of aliases ends") {
    World world;
    world.dns.alias("www.example", "edge.example");
    world.dns.alias("edge.example", "node.example");
    world.dns.address("node.example", "192.0.2.9");
    CHECK(texts(world.resolve("www.example")) == std::vector<std::string>{"192.0.2.9"});

    world.dns.alias("tick.example", "tock.example");
    world.dns.alias("tock.example", "tick.example");
    const auto loop = world.resolve("tick.example");
    REQUIRE_FALSE(loop.has_value());
    CHECK(loop.error().kind == ErrorKind::unresolved);
}

TEST_CASE("resolver: a name that does not exist, a name without address") {
    World world;
    const auto missing = world.resolve("missing.example");
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().kind == ErrorKind::unresolved);
    CHECK(missing.error().detail == "missing.example does not exist (name servers say so)");

    world.dns.alias("empty.example", "void.example");
    const auto empty = world.resolve("empty.example");
    REQUIRE_FALSE(empty.has_value());
    CHECK(empty.error().kind == ErrorKind::unresolved);
}

TEST_CASE("resolver: a server that never answers costs the caller its deadline, not more") {
    World world;
    world.dns.silence("silent.example");
    const auto before = Clock::now();
    const auto result = world.resolve("silent.example", 100ms);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().kind == ErrorKind::timed_out);
    CHECK(Clock::now() - before >= 100ms);
    CHECK(Clock::now() - before < 1500ms);
    CHECK(world.dns.questions("silent.example") > 0);
}

TEST_CASE("resolver: one name asked for many times at once is one question") {
    World world;
    world.dns.address("api.example", "192.0.2.1");
    std::vector<std::shared_ptr<std::optional<Addresses>>> results;
    for (int i = 0; i < 50; ++i) results.push_back(world.start("api.example"));
    for (const auto& result : results) CHECK(texts(testing::finish(world.io, result)).size() == 1);
    CHECK(world.dns.questions() == 2);  // A and AAAA
}

TEST_CASE("resolver: answers and failures are kept") {
    World world;
    world.dns.address("api.example", "192.0.2.1", 0);  // kept for five seconds all the same
    world.resolve("api.example");
    world.resolve("missing.example");
    const int asked = world.dns.questions();
    CHECK(texts(world.resolve("api.example")) == std::vector<std::string>{"192.0.2.1"});
    CHECK_FALSE(world.resolve("missing.example").has_value());
    CHECK(world.dns.questions() == asked);
}

TEST_CASE("resolver: no search domain is tried") {
    setenv("LOCALDOMAIN", "search.example", 1);
    World world;
    unsetenv("LOCALDOMAIN");
    world.dns.address("short.search.example", "192.0.2.1");
    world.dns.address("a.b.search.example", "192.0.2.1");
    CHECK_FALSE(world.resolve("short").has_value());
    CHECK_FALSE(world.resolve("a.b").has_value());
    CHECK(world.dns.questions("short.search.example") == 0);
    CHECK(world.dns.questions("a.b.search.example") == 0);
}

TEST_CASE("resolver: /etc/hosts comes before the name servers") {
    World world;
    const auto found = world.resolve("localhost");
    REQUIRE(found.has_value());
    CHECK(world.dns.questions("localhost") == 0);
}

TEST_CASE("resolver: questions under way are bounded, other names get an error at once") {
    World world;
    for (std::size_t i = 0; i < Resolver::kMaxPending; ++i) {
        const std::string name = "n" + std::to_string(i) + ".example";
        world.dns.silence(name);
        CHECK(world.resolve(name, 0ms).error().kind == ErrorKind::timed_out);
    }
    const auto refused = world.resolve("one.more.example");
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == ErrorKind::too_large);
    CHECK(world.dns.questions("one.more.example") == 0);
}

TEST_CASE("resolver: whoever waits when it goes away is told") {
    World world;
    world.dns.silence("silent.example");
    const auto first = world.start("silent.example"), second = world.start("silent.example");
    world.io.poll();
    world.resolver.reset();
    CHECK(testing::finish(world.io, first).error().kind == ErrorKind::cancelled);
    CHECK(testing::finish(world.io, second).error().kind == ErrorKind::cancelled);
}

TEST_CASE("resolver: a wait ends with its session; the answer still serves others") {
    World world;
    world.dns.silence("silent.example");
    const auto waiting = world.start("silent.example");
    world.io.poll();
    world.lifeline.end({ErrorKind::end_of_stream, "the client went away"});
    CHECK(testing::finish(world.io, waiting).error().kind == ErrorKind::end_of_stream);
    CHECK(world.resolve("silent.example").error().kind == ErrorKind::end_of_stream);

    net::Lifeline other(world.watchdog);
    const auto result = testing::run(world.io, world.resolver->resolve("silent.example", other, Clock::now() + 50ms));
    CHECK(result.error().kind == ErrorKind::timed_out);
}

TEST_CASE("resolver: an io_context that is thrown away with a question under way") {
    auto world = std::make_unique<World>();
    world->dns.silence("silent.example");
    const auto waiting = testing::start(world->io, resolve_in_session(*world, "silent.example"));
    world->io.poll();
    CHECK_FALSE(waiting->has_value());
    world.reset();  // the address sanitizer looks on
    CHECK_FALSE(waiting->has_value());
}

TEST_CASE("resolver: a list of servers that is none stops the start") {
    boost::asio::io_context io;
    CHECK_THROWS_AS(Resolver(io.get_executor(), "not an address"), StartupError);
}
