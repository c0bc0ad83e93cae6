#pragma once
// A gateway without its traffic: rules that follow their files, and the socket on which it is asked.

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "container/doorway_client.hpp"
#include "gateway/app/admin.hpp"
#include "gateway/app/admin_commands.hpp"
#include "gateway/app/policy_file.hpp"

namespace sallyport::test {

/// A gateway's rules, reloader and admin socket, served by a thread, over files in a folder of their own.
class ServedRules {
public:
    explicit ServedRules(const std::string& policy, const std::function<void(const ServedRules&)>& prepare = {}) {
        REQUIRE(::mkdtemp(folder_.data()) != nullptr);
        std::ofstream(file("policy.toml")) << policy;
        if (prepare) prepare(*this);
    }
    ~ServedRules() {
        stop();
        std::filesystem::remove_all(folder_);
    }

    std::string file(const std::string& name) const { return folder_ + "/" + name; }

    void start(app::ReloadOptions options = {}) {
        if (options.policy_file.empty()) options.policy_file = file("policy.toml");
        const auto policy = app::load_policy_file(options.policy_file);
        rules_.emplace(session::Rules{policy, std::make_shared<secrets::Store>(policy)});
        audit_.emplace(file("audit.jsonl"));
        reloader_.emplace(io_, *rules_, *audit_, std::move(options));
        admin_.emplace(io_, app::open_admin_socket(file("run/admin.sock")), *reloader_, *audit_, [this] {
            return app::Serving{"sealed", 3, problem};
        });
        thread_ = std::thread([this] {
            const auto guard = boost::asio::make_work_guard(io_);
            io_.run();
        });
    }

    void stop() {
        if (!thread_.joinable()) return;
        boost::asio::post(io_, [this] {
            admin_.reset();
            reloader_.reset();
            io_.stop();
        });
        thread_.join();
        audit_.reset();
    }

    /// Runs on the serving thread.
    template <class F>
    auto ask(F f) {
        std::promise<decltype(f(*reloader_))> answer;
        boost::asio::post(io_, [&] { answer.set_value(f(*reloader_)); });
        return answer.get_future().get();
    }

    bool allows(const std::string& host) {
        return ask([&](const app::Reloader& r) {
            return policy::resolution(*r.rules().policy, host) == policy::Resolution::yes;
        });
    }
    std::string secret() {
        return ask([](const app::Reloader& r) {
            const auto all = r.rules().secrets->all();
            return all.empty() ? std::string() : std::string(all[0].value.reveal());
        });
    }
    std::string mistakes() {
        return ask([](const app::Reloader& r) { return r.last().mistakes; });
    }
    app::Reload reload() {
        std::promise<app::Reload> done;
        reloader_->reload([&](const app::Reload& reload) { done.set_value(reload); });
        return done.get_future().get();
    }
    int command(const std::string& request) { return app::ask_gateway(request, file("run/admin.sock")); }
    /// The answer as it comes over the socket.
    std::string raw(const std::string& request) {
        const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const auto address = container::unix_address(file("run/admin.sock"));
        REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
        std::string answer;
        char block[4096];
        for (ssize_t got; (got = ::recv(fd.get(), block, sizeof block, 0)) > 0;)
            answer.append(block, static_cast<std::size_t>(got));
        return answer;
    }
    std::vector<nlohmann::json> log() {
        stop();
        std::vector<nlohmann::json> events;
        std::ifstream in(file("audit.jsonl"));
        for (std::string line; std::getline(in, line);) events.push_back(nlohmann::json::parse(line));
        return events;
    }

    std::string problem;

private:
    std::string folder_ = "/tmp/sallyport-reload-XXXXXX";
    boost::asio::io_context io_{1};
    std::optional<session::LiveRules> rules_;
    std::optional<audit::Audit> audit_;
    std::optional<app::Reloader> reloader_;
    std::optional<app::Admin> admin_;
    std::thread thread_;
};

}  // namespace sallyport::test
