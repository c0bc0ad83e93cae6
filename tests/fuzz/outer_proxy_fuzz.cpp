// An outer proxy's answer: taken exactly when its first line says 2xx, and then not one byte behind its head is
// touched; an error shows nothing unprintable and no password. And the URL that names it. Input: URL, NO_PROXY, host,
// one a line, then the answer.

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "gateway/base/startup_error.hpp"
#include "gateway/base/unique_fd.hpp"
#include "gateway/net/outer_proxy.hpp"
#include "gateway/policy/host_pattern.hpp"
#include "tests/fuzz/http1_feed.hpp"

using namespace sallyport;
using fuzz::require;

namespace {

struct Outcome {
    bool connected = false;
    std::string error;
    std::string asked;  ///< of the proxy
    std::string rest;   ///< what can be read behind its answer
};

std::string read_all(int fd) {
    std::string all;
    std::array<char, 4096> block;
    for (ssize_t n = 0; (n = ::recv(fd, block.data(), block.size(), MSG_DONTWAIT)) > 0;)
        all.append(block.data(), static_cast<std::size_t>(n));
    return all;
}

boost::asio::awaitable<void> ask(net::Socket socket, const net::OuterProxy& proxy, net::Lifeline& lifeline,
                                 std::string host, Outcome& outcome) {
    const auto deadline = net::Clock::now() + std::chrono::minutes(1);
    auto through = co_await net::connect_through(std::move(socket), proxy, lifeline, std::move(host), 443, deadline);
    outcome.connected = through.has_value();
    if (through) outcome.rest = read_all(through->native_handle());
    else outcome.error = through.error().detail;
}

Outcome connect(const net::OuterProxy& proxy, const std::string& host, std::string_view answer) {
    int ends[2];
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    const UniqueFd far(ends[1]);
    require(::send(far.get(), answer.data(), answer.size(), 0) == static_cast<ssize_t>(answer.size()));
    ::shutdown(far.get(), SHUT_WR);
    boost::asio::io_context io;
    net::Watchdog watchdog(io.get_executor());
    net::Lifeline lifeline(watchdog);
    Outcome outcome;
    boost::asio::co_spawn(io, ask(net::Socket(io, boost::asio::ip::tcp::v4(), ends[0]), proxy, lifeline, host, outcome),
                          boost::asio::detached);
    for (std::size_t ran = 1; ran > 0;) ran = io.poll();
    watchdog.stop();
    require(outcome.connected == outcome.error.empty());  // everything was there at once: it has ended
    outcome.asked = read_all(far.get());
    return outcome;
}

bool says_2xx(std::string_view answer) {
    const auto digit = [&](std::size_t i) { return answer[i] >= '0' && answer[i] <= '9'; };
    return answer.size() > 12 && (answer.starts_with("HTTP/1.1 2") || answer.starts_with("HTTP/1.0 2")) && digit(10) &&
           digit(11) && (answer[12] == ' ' || answer[12] == '\r');
}

void check_connect(const net::OuterProxy& proxy, const std::string& host, std::string_view answer) {
    const auto outcome = connect(proxy, host, answer);
    const auto end = answer.find("\r\n\r\n");
    require(outcome.connected == (end <= net::kMaxProxyAnswer - 4 && says_2xx(answer)) ||
            end > net::kMaxProxyAnswer - 4);
    if (outcome.connected) require(outcome.rest == answer.substr(end + 4));
    else require(!outcome.error.empty() && fuzz::printable(outcome.error));
    require(proxy.authorization.empty() || outcome.error.find(proxy.authorization) == std::string::npos);
    const auto request = fuzz::feed<true>(outcome.asked, outcome.asked.size() + 1, false, false);
    require(request && request->rest.empty() && request->head.method == "CONNECT" && request->body.empty());
    require(wire::find(request->head.fields, "Host") == request->head.target);
    require(request->head.fields.size() == (proxy.authorization.empty() ? 1u : 2u));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto input = fuzz::text(data, size);
    if (size > 60'000) return 0;
    const auto url = fuzz::take_line(input);
    const auto no_proxy = fuzz::take_line(input);
    const auto host = policy::canonical_host(fuzz::take_line(input)).value_or("api.example");
    net::OuterProxy proxy;
    try {
        proxy = net::OuterProxy::parse(url, no_proxy, "SOURCE");
    } catch (const StartupError& error) {
        const std::string_view what = error.what();
        require(what.starts_with("SOURCE: ") && fuzz::printable(what));
        require(what.find("hunter2") == what.npos);
        return 0;
    }
    require(proxy.port != 0 && !proxy.host.empty() && fuzz::printable(proxy.host + proxy.authorization));
    require(proxy.no_proxy.covers("127.0.0.1", 443) && proxy.no_proxy.covers("localhost", 443));
    check_connect(proxy, host, input);
    return 0;
}
