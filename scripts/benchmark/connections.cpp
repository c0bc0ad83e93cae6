// New TLS connections as fast as they come, which no client of Debian's does with a full handshake and a name of its
// own for each.
//   bench_connections rate ADDRESS NAME PATH PARALLEL SECONDS   one after another, each asks once; prints how many
//   bench_connections hold ADDRESS NAME PATH PARALLEL COUNT     holds COUNT that have asked once, until stdin ends
//   bench_connections first ADDRESS NAME PATH                   tries until it is answered; prints the monotonic clock
// "%" in NAME is a number that is new each time. An empty PATH asks nothing: the handshake is all.

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <list>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "scripts/benchmark/tls_client.hpp"

using namespace sallyport;
using namespace sallyport::bench;
using namespace std::chrono_literals;

namespace {

constexpr auto kTimeLimit = 20s;  ///< for one connection
constexpr auto kRetry = 1ms;

/// Names with a number that no earlier run has used.
class Names {
public:
    explicit Names(std::string pattern)
        : pattern_(std::move(pattern)), next_(static_cast<std::uint64_t>(Clock::now().time_since_epoch().count())) {}
    std::string next() {
        auto name = pattern_;
        if (const auto at = name.find('%'); at != name.npos) name.replace(at, 1, "n" + std::to_string(next_++));
        return name;
    }

private:
    std::string pattern_;
    std::uint64_t next_;
};

/// Connections under way, `parallel` at a time.
class Crowd {
public:
    Crowd(Target target, std::size_t parallel)
        : target_(std::move(target)),
          names_(target_.name),
          parallel_(parallel),
          context_(make_context()),
          epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

    /// Until `enough` says so of those that have ended well.
    template <class Enough>
    void run(Enough enough) {
        while (!enough(ended_)) {
            while (going_.size() < parallel_ && (!target_.keep || going_.size() + kept_.size() < wanted_)) add();
            wait();
        }
    }
    void want(std::size_t count) { wanted_ = count; }

    std::size_t ended() const { return ended_; }
    std::size_t failed() const { return failed_; }
    const std::string& error() const { return error_; }

private:
    using Clients = std::list<TlsClient>;

    void add() {
        auto target = target_;
        target.name = names_.next();
        going_.emplace_back(context_.get(), std::move(target));
        control(EPOLL_CTL_ADD, std::prev(going_.end()));
    }

    void control(int operation, Clients::iterator client) {
        epoll_event event{};
        event.events = client->events();
        event.data.ptr = &*client;
        ::epoll_ctl(epoll_.get(), operation, client->fd(), &event);
    }

    void wait() {
        std::array<epoll_event, 64> ready;
        const int count = ::epoll_wait(epoll_.get(), ready.data(), ready.size(), 100);
        for (int i = 0; i < count; ++i) {
            const auto* ptr = ready[static_cast<std::size_t>(i)].data.ptr;
            advance(std::find_if(going_.begin(), going_.end(), [ptr](const auto& client) { return &client == ptr; }));
        }
        if (count == 0) end_overdue();
    }

    void advance(Clients::iterator client) {
        const auto events = client->events();
        switch (client->advance()) {
            case TlsClient::State::going:
                if (client->events() != events) control(EPOLL_CTL_MOD, client);
                return;
            case TlsClient::State::open:
                ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, client->fd(), nullptr);
                kept_.splice(kept_.end(), going_, client);
                ++ended_;
                return;
            case TlsClient::State::done:
                ++ended_;
                break;
            case TlsClient::State::failed:
                note(client->error());
                break;
        }
        going_.erase(client);
    }

    void end_overdue() {
        for (auto client = going_.begin(); client != going_.end();) {
            const bool overdue = Clock::now() - client->begin() > kTimeLimit;
            if (overdue) note("no answer within the time limit");
            client = overdue ? going_.erase(client) : std::next(client);
        }
    }

    void note(const std::string& error) {
        error_ = error;
        if (++failed_ > 50 && ended_ == 0) throw std::runtime_error("nothing but failures: " + error);
    }

    const Target target_;
    Names names_;
    const std::size_t parallel_;
    std::size_t wanted_ = 0;
    tls::SslCtxPtr context_;
    UniqueFd epoll_;
    Clients going_;
    Clients kept_;
    std::size_t ended_ = 0;
    std::size_t failed_ = 0;
    std::string error_;
};

int rate(Target target, std::size_t parallel, double seconds) {
    Crowd crowd(std::move(target), parallel);
    const auto begin = Clock::now();
    const auto end = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    crowd.run([end](std::size_t) { return Clock::now() >= end; });
    const std::chrono::duration<double> took = Clock::now() - begin;
    std::printf("{\"connections\": %zu, \"seconds\": %f, \"failed\": %zu, \"error\": \"%s\"}\n", crowd.ended(),
                took.count(), crowd.failed(), crowd.error().c_str());
    return 0;
}

int hold(Target target, std::size_t parallel, std::size_t count) {
    target.keep = true;
    Crowd crowd(std::move(target), parallel);
    crowd.want(count);
    crowd.run([count](std::size_t open) { return open >= count; });
    std::printf("holding %zu\n", crowd.ended());
    std::fflush(stdout);
    for (char byte; ::read(STDIN_FILENO, &byte, 1) > 0;) continue;
    return 0;
}

int first(const Target& target) {
    for (const auto end = Clock::now() + kTimeLimit; Clock::now() < end; std::this_thread::sleep_for(kRetry)) {
        try {
            Crowd crowd(target, 1);
            crowd.run([&crowd](std::size_t ended) { return ended + crowd.failed() > 0; });
            if (crowd.ended() == 0) continue;
            std::printf("%lld\n", static_cast<long long>(Clock::now().time_since_epoch().count()));
            return 0;
        } catch (const std::runtime_error&) {
            continue;
        }
    }
    throw std::runtime_error("no answer within the time limit");
}

int run(const std::vector<std::string>& words) {
    if (words.size() < 4) throw std::runtime_error("what is to be done? See the top of connections.cpp");
    Target target;
    target.address = words[1];
    target.name = words[2];
    target.path = words[3];
    if (words[0] == "first") return first(target);
    const std::size_t parallel = std::stoul(words.at(4));
    if (words[0] == "rate") return rate(std::move(target), parallel, std::stod(words.at(5)));
    if (words[0] == "hold") return hold(std::move(target), parallel, std::stoul(words.at(5)));
    throw std::runtime_error("unknown: " + words[0]);
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_connections: %s\n", error.what());
        return 1;
    }
}
