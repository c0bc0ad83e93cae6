// Files that rules are made of change on disk.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "gateway/base/startup_error.hpp"
#include "tests/support/served_rules.hpp"
#include "tests/support/test_ca.hpp"

using namespace sallyport;
using namespace sallyport::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr const char* kAllow = "[[allow]]\nhost = \"a.test\"\n";
constexpr const char* kBroken = "[[allow]]\nhsot = \"a.test\"\n\n[[deny]]\n";

std::string with_secret(const std::string& source) {
    return fmt::format("[[secret]]\nname = \"s\"\nhost = \"a.test\"\nheader = \"x-key\"\nvalue = {{ {} }}\n", source);
}

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

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
    ServedRules served(kAllow);
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
    ServedRules served("[[origin]]\nhost = \"a.test\"\nca = \"ca.pem\"\n",
                       [&](const ServedRules& s) { write(s.file("ca.pem"), first.pem()); });
    served.start();
    const auto id = [&] {
        return served.ask([](const app::Reloader& r) { return r.rules().secrets->origin_options("a.test")->id; });
    };
    const auto before = id();
    write(served.file("ca.pem"), second.pem());
    CHECK(comes_true([&] { return id() != before; }));
    const auto after = id();
    write(served.file("ca.pem"), "nonsense");
    CHECK(
        comes_true([&] { return served.mistakes().find("ca.pem holds no certificate in PEM") != std::string::npos; }));
    CHECK(id() == after);
}

TEST_CASE("reload: a ConfigMap is swapped by a link two folders up") {
    ServedRules served("", [](const ServedRules& s) {
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
    ServedRules served(kAllow);
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
    ServedRules served(kAllow);
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
    ServedRules served(kAllow);
    served.start();
    fs::remove(served.file("policy.toml"));
    CHECK(comes_true([&] { return !served.mistakes().empty(); }));
    CHECK(served.allows("a.test"));
    write(served.file("policy.toml"), "[[allow]]\nhost = \"b.test\"\n");
    CHECK(comes_true([&] { return served.allows("b.test"); }));
    CHECK(served.mistakes() == "");
}

TEST_CASE("reload: a secret file that changes counts; one that cannot be read keeps policy and value") {
    ServedRules served(kAllow + with_secret("file = \"key\""),
                       [](const ServedRules& s) { write(s.file("key"), "one\n"); });
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
    ServedRules served(kAllow);
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
    ServedRules served(kAllow, [](const ServedRules& s) {
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
    ServedRules served(kAllow);
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
    ServedRules served(kAllow + with_secret("file = \"key\""),
                       [](const ServedRules& s) { write(s.file("key"), "one\n"); });
    const UniqueFd fd(::open(served.file("policy.toml").c_str(), O_RDONLY | O_CLOEXEC));
    app::ReloadOptions options;
    options.policy_file = served.file("policy.toml");
    options.read_from = fd.get();
    options.secrets_stay = options.quiet = true;
    served.start(options);
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
