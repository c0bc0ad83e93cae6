// The policy file changes on disk, and who asks the gateway is told what came of it.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "container/doorway_client.hpp"
#include "gateway/app/admin.hpp"
#include "gateway/app/admin_commands.hpp"
#include "gateway/app/policy_file.hpp"
#include "gateway/base/startup_error.hpp"
#include "tests/support/test_ca.hpp"

using namespace sallyport;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr const char* kAllow = "[[allow]]\nhost = \"a.test\"\n";
constexpr const char* kBroken = "[[allow]]\nhsot = \"a.test\"\n\n[[deny]]\n";

std::string with_secret(const std::string& source) {
    return fmt::format("[[secret]]\nname = \"s\"\nhost = \"a.test\"\nheader = \"x-key\"\nvalue = {{ {} }}\n", source);
}

void write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
}

/// A gateway's rules, reloader and admin socket, served by a thread, over files in a folder of their own.
class Served {
public:
    explicit Served(const std::string& policy, const std::function<void(const Served&)>& prepare = {}) {
        REQUIRE(::mkdtemp(folder_.data()) != nullptr);
        write(file("policy.toml"), policy);
        if (prepare) prepare(*this);
    }
    ~Served() {
        stop();
        fs::remove_all(folder_);
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

template <class F>
bool comes_true(F condition) {
    const auto limit = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < limit) {
        if (condition()) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

}  // namespace

TEST_CASE("reload: a policy that is edited in place or renamed over counts by itself") {
    Served served(kAllow);
    served.start();
    CHECK(served.allows("a.test"));
    write(served.file("policy.toml"), "[[allow]]\nhost = \"b.test\"\n");
    CHECK(comes_true([&] { return served.allows("b.test"); }));
    CHECK_FALSE(served.allows("a.test"));
    write(served.file("new"), "[[allow]]\nhost = \"c.test\"\n");
    fs::rename(served.file("new"), served.file("policy.toml"));
    CHECK(comes_true([&] { return served.allows("c.test"); }));
    const auto log = served.log();
    REQUIRE(log.size() == 2);
    CHECK(log[1]["event"] == "policy");
    CHECK(log[1]["result"] == "replaced");
    CHECK(log[1]["file"] == served.file("policy.toml"));
}

TEST_CASE("reload: a file of an [[origin]] that changes counts by itself; what is no certificate changes nothing") {
    const testing::TestCa first, second;
    Served served("[[origin]]\nhost = \"a.test\"\nca = \"ca.pem\"\n",
                  [&](const Served& s) { write(s.file("ca.pem"), first.pem()); });
    served.start();
    const auto id = [&] {
        return served.ask([](const app::Reloader& r) { return r.rules().secrets->origin_options("a.test")->id; });
    };
    const auto before = id();
    write(served.file("ca.pem"), second.pem());
    CHECK(comes_true([&] { return id() != before; }));
    const auto after = id();
    write(served.file("ca.pem"), "nonsense");
    CHECK(comes_true([&] { return served.mistakes().find("ca.pem holds no certificate in PEM") != std::string::npos; }));
    CHECK(id() == after);
}

TEST_CASE("reload: a ConfigMap is swapped by a link two folders up") {
    Served served("", [](const Served& s) {
        for (const char* version : {"..v1", "..v2"}) fs::create_directory(s.file(version));
        write(s.file("..v1/p.toml"), kAllow);
        write(s.file("..v2/p.toml"), "[[allow]]\nhost = \"b.test\"\n");
        fs::create_symlink("..v1", s.file("..data"));
        fs::create_symlink("..data/p.toml", s.file("p.toml"));
    });
    served.start({served.file("p.toml")});
    CHECK(served.allows("a.test"));
    fs::create_symlink("..v2", served.file("..data_tmp"));
    fs::rename(served.file("..data_tmp"), served.file("..data"));
    fs::remove_all(served.file("..v1"));
    CHECK(comes_true([&] { return served.allows("b.test"); }));
    CHECK_FALSE(served.allows("a.test"));
}

TEST_CASE("reload: a broken policy changes nothing and is reported in the log, by status and by the reload command") {
    Served served(kAllow);
    served.start();
    CHECK(served.command("reload") == 0);
    write(served.file("policy.toml"), kBroken);
    CHECK(served.command("reload") == 1);
    CHECK(served.allows("a.test"));
    const auto answer = served.raw("reload\n");
    CHECK(answer.starts_with("1\n"));
    CHECK(answer.find(served.file("policy.toml") + ":2:1: ") != std::string::npos);  // as `sallyport check` says it
    CHECK(answer.find(served.file("policy.toml") + ":4:") != std::string::npos);     // all of it
    const auto status = served.raw("status\n");
    CHECK(status.find("NOT what the file says now") != std::string::npos);
    CHECK(status.find("policy.toml:2:1: ") != std::string::npos);
    write(served.file("policy.toml"), kAllow);
    CHECK(served.command("reload") == 0);
    CHECK(served.raw("status\n").find("NOT what") == std::string::npos);
    const auto log = served.log();
    REQUIRE(log.size() >= 4);
    CHECK(log[1]["result"] == "kept");
    const auto reason = log[1]["reason"].get<std::string>();
    CHECK(reason.starts_with(answer.substr(2, answer.find('\n', 2) - 2)));
    CHECK(reason.find(" more)") != std::string::npos);
}

TEST_CASE("reload: a file that is just being written is not taken for a policy that allows nothing") {
    Served served(kAllow);
    served.start();
    const auto limit = std::chrono::steady_clock::now() + 4 * app::Reloader::kLookEvery;
    bool always = true;
    while (std::chrono::steady_clock::now() < limit) {
        write(served.file("policy.toml"), "");
        always = always && served.allows("a.test");
        write(served.file("policy.toml"), kAllow);
        write(served.file("policy.toml"), "");
    }
    CHECK(always);
    CHECK(comes_true([&] { return !served.allows("a.test"); }));  // empty is what it stayed
}

TEST_CASE("reload: a policy that is missing changes nothing, and counts once it is back") {
    Served served(kAllow);
    served.start();
    fs::remove(served.file("policy.toml"));
    CHECK(comes_true([&] { return !served.mistakes().empty(); }));
    CHECK(served.allows("a.test"));
    write(served.file("policy.toml"), "[[allow]]\nhost = \"b.test\"\n");
    CHECK(comes_true([&] { return served.allows("b.test"); }));
    CHECK(served.mistakes() == "");
}

TEST_CASE("reload: a secret file that changes counts; one that cannot be read keeps policy and value") {
    Served served(kAllow + with_secret("file = \"key\""), [](const Served& s) { write(s.file("key"), "one\n"); });
    served.start();
    CHECK(served.secret() == "one");
    write(served.file("key"), "two\n");
    CHECK(comes_true([&] { return served.secret() == "two"; }));
    fs::remove(served.file("key"));
    CHECK(comes_true([&] { return !served.mistakes().empty(); }));
    CHECK(served.mistakes().find("cannot be opened") != std::string::npos);
    CHECK(served.secret() == "two");
    write(served.file("policy.toml"), "[[allow]]\nhost = \"b.test\"\n" + with_secret("file = \"key\""));
    CHECK(served.command("reload") == 1);
    CHECK_FALSE(served.allows("b.test"));  // all or nothing
    write(served.file("key"), "three\n");
    CHECK(comes_true([&] { return served.secret() == "three"; }));
    CHECK(served.allows("b.test"));
    for (const auto& event : served.log()) CHECK(event.dump().find("three") == std::string::npos);
}

TEST_CASE("reload: SIGHUP is a reload, each time") {
    Served served(kAllow);
    served.start();
    served.ask([](app::Reloader& r) {
        r.reload_on_hangup();
        return 0;
    });
    const auto read_at = [](const app::Reloader& r) { return r.loaded_at(); };
    for (int i = 0; i < 2; ++i) {
        const auto before = served.ask(read_at);
        ::raise(SIGHUP);
        CHECK(comes_true([&] { return served.ask(read_at) != before; }));  // nothing else reads an unchanged file
    }
}

TEST_CASE("reload: a secret's command runs again when it is asked for, not when a file changes") {
    Served served(kAllow, [](const Served& s) {
        write(s.file("policy.toml"),
              kAllow + with_secret(
                           fmt::format("command = [\"sh\", \"-c\", \"echo x >> {0}; wc -l < {0}\"]", s.file("runs"))));
    });
    served.start();
    CHECK(served.secret() == "1");
    write(served.file("policy.toml"),
          "\n" + std::string("[[allow]]\nhost = \"b.test\"\n") +
              with_secret(
                  fmt::format("command = [\"sh\", \"-c\", \"echo x >> {0}; wc -l < {0}\"]", served.file("runs"))));
    CHECK(comes_true([&] { return served.allows("b.test"); }));
    CHECK(served.secret() == "1");
    CHECK(served.reload().mistakes == "");
    CHECK(served.secret() == "2");
}

TEST_CASE("reload: the serving thread goes on while a secret's command takes its time") {
    Served served(kAllow);
    served.start();
    const auto fifo = served.file("go");
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    write(served.file("policy.toml"), kAllow + with_secret(fmt::format("command = [\"cat\", \"{}\"]", fifo)));
    auto reloaded = std::async(std::launch::async, [&] { return served.command("reload"); });
    const UniqueFd writer(::open(fifo.c_str(), O_WRONLY | O_CLOEXEC));  // opens once the command has opened it
    CHECK(served.command("health") == 0);
    CHECK(served.secret() == "");
    REQUIRE(::write(writer.get(), "late\n", 5) == 5);
    const_cast<UniqueFd&>(writer).reset();
    CHECK(reloaded.get() == 0);
    CHECK(served.secret() == "late");
}

TEST_CASE("reload: behind a descriptor only the file of the start counts, and secrets stay as they are") {
    Served served(kAllow + with_secret("file = \"key\""), [](const Served& s) { write(s.file("key"), "one\n"); });
    const UniqueFd fd(::open(served.file("policy.toml").c_str(), O_RDONLY | O_CLOEXEC));
    served.start({served.file("policy.toml"), fmt::format("/proc/self/fd/{}", fd.get()), true, true});
    write(served.file("key"), "two\n");
    write(served.file("policy.toml"), "[[allow]]\nhost = \"b.test\"\n" + with_secret("file = \"key\""));
    CHECK(comes_true([&] { return served.allows("b.test"); }));
    CHECK(served.secret() == "one");
    write(served.file("policy.toml"), "[[allow]]\nhost = \"c.test\"\n" + with_secret("file = \"other\""));
    CHECK(comes_true([&] { return served.mistakes().find("start again to use it") != std::string::npos; }));
    write(served.file("new"), "[[allow]]\nhost = \"evil.test\"\n");
    fs::rename(served.file("new"), served.file("policy.toml"));
    CHECK(comes_true([&] { return served.mistakes().find("is another file now") != std::string::npos; }));
    CHECK_FALSE(served.allows("evil.test"));
    CHECK(served.allows("b.test"));
}

TEST_CASE("admin: health and status by exit status and in words") {
    Served served(kAllow);
    served.start();
    CHECK(served.command("health") == 0);
    CHECK(served.command("status") == 0);
    const auto status = served.raw("status\n");
    CHECK(status.starts_with("0\nsallyport "));
    CHECK(status.find(", sealed: serving\n") != std::string::npos);
    CHECK(status.find("1 rules, 0 secrets, read 20") != std::string::npos);
    CHECK(status.find("sessions: 3\n") != std::string::npos);
    CHECK(status.find("audit:    good\n") != std::string::npos);
    CHECK(served.raw("exec rm\n").starts_with("2\n"));
    CHECK(served.ask([&](const app::Reloader&) { return served.problem = "waiting for the doorway"; }) != "");
    CHECK(served.command("health") == 1);
    CHECK(served.raw("health\n") == "1\nwaiting for the doorway\n");
}

TEST_CASE("admin: the socket is its owner's alone; a dead one is replaced, a live one is not") {
    Served served(kAllow);
    served.start();
    struct stat info {};
    REQUIRE(::stat(served.file("run/admin.sock").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    REQUIRE(::stat(served.file("run").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0700);
    Served second(kAllow);
    fs::create_symlink(served.file("run"), second.file("run"));
    CHECK_THROWS_WITH_AS(second.start(), ("another gateway serves at " + second.file("run/admin.sock")).c_str(),
                         StartupError);
    CHECK(served.command("health") == 0);
    served.stop();
    CHECK_FALSE(fs::exists(served.file("run/admin.sock")));
    {  // what a killed gateway leaves
        const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const auto address = container::unix_address(served.file("run/admin.sock"));
        REQUIRE(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    CHECK_THROWS_AS(served.command("health"), StartupError);
    Served third(kAllow);
    fs::create_symlink(served.file("run"), third.file("run"));
    third.start();
    CHECK(third.command("health") == 0);
    third.stop();
    write(served.file("run/admin.sock"), "precious");
    Served fourth(kAllow);
    fs::create_symlink(served.file("run"), fourth.file("run"));
    CHECK_THROWS_AS(fourth.start(), StartupError);
    CHECK(fs::file_size(served.file("run/admin.sock")) == 8);
}

TEST_CASE("admin: no gateway is one clear line; silent and endless clients cost nobody else") {
    CHECK_THROWS_WITH_AS(
        app::ask_gateway("health", "/nonexistent/s"),
        "no gateway answers at /nonexistent/s (--admin names another place): No such file or directory", StartupError);
    CHECK_THROWS_AS(app::ask_gateway("health", std::string(200, 'x')), StartupError);
    Served served(kAllow);
    served.start();
    const auto address = container::unix_address(served.file("run/admin.sock"));
    std::vector<UniqueFd> silent;
    for (int i = 0; i < 10; ++i) {
        silent.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::connect(silent.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    CHECK(served.command("health") == 0);
    CHECK(served.raw(std::string(10'000, 'x')) == "");
    CHECK(served.command("health") == 0);
}
