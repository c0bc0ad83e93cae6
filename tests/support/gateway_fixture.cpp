#include "tests/support/gateway_fixture.hpp"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <fstream>
#include <future>

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
          resolver(io.get_executor()),
          gateway{rules, server_tls, leaves, addresses, dialler, pool, watchdog, audit, limits} {}

    asio::io_context io{1};
    session::LiveRules rules;
    audit::Audit audit;
    tls::Authority authority = tls::Authority::ephemeral();
    tls::LeafCache leaves{authority};
    tls::ServerContext server_tls;
    tls::ClientContext client_tls;
    dns::VirtualAddresses addresses;
    net::Watchdog watchdog;
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

WirePeer GatewayFixture::http_client(std::string name, std::uint16_t port) {
    auto [ours, theirs] = connected_pair();
    auto serve = [](session::Gateway& gateway, int fd, session::ConnectionFacts facts,
                    asio::io_context& io) -> asio::awaitable<void> {
        net::Lifeline lifeline(gateway.watchdog);
        net::Stream stream(net::Socket(io, asio::ip::tcp::v4(), fd), lifeline);
        session::Http1Service service(gateway, stream, std::move(facts), {});
        co_await service.run();
    };
    asio::co_spawn(parts_->io,
                   serve(parts_->gateway, theirs.release(), {false, std::move(name), port}, parts_->io), asio::detached);
    return WirePeer(std::move(ours));
}

}  // namespace sallyport::test
