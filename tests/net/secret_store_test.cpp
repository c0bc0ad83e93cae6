#include "gateway/secrets/store.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "gateway/base/startup_error.hpp"
#include "gateway/secrets/run_command.hpp"

using namespace sallyport;
using namespace sallyport::secrets;

namespace {

policy::SecretRule rule(const std::string& name) {
    policy::SecretRule result;
    result.name = name;
    result.header = "x-api-key";
    result.where = {"sallyport.toml", 7, 1};
    return result;
}

policy::SecretRule from_env(const std::string& name, const std::string& variable) {
    auto result = rule(name);
    result.value.env = variable;
    return result;
}

policy::SecretRule from_command(std::vector<std::string> command) {
    auto result = rule("s");
    result.value.command = std::move(command);
    return result;
}

policy::SecretRule from_file(const std::string& file) {
    auto result = rule("s");
    result.value.file = file;
    return result;
}

Store store(std::vector<policy::SecretRule> rules) {
    return Store(
        std::make_shared<policy::Policy>(std::vector<policy::Rule>{}, std::move(rules), std::vector<policy::Route>{}));
}

std::string value_of(const policy::SecretRule& secret) {
    return std::string(store({secret}).all().at(0).value.reveal());
}

/// What the refusal says; it names the secret and its line, whatever it is about.
std::string refusal(const policy::SecretRule& secret) {
    try {
        value_of(secret);
    } catch (const StartupError& error) {
        const std::string text = error.what();
        CHECK(text.find("secret \"s\" (sallyport.toml:7): ") == 0);
        CHECK(text.find("hidden") == std::string::npos);
        return text;
    }
    return "";
}

bool mentions(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

class ScratchFile {
public:
    explicit ScratchFile(std::string_view content) {
        std::string name = std::filesystem::temp_directory_path() / "sallyport-secret-XXXXXX";
        const int fd = ::mkstemp(name.data());
        REQUIRE(fd >= 0);
        ::close(fd);
        std::ofstream(name, std::ios::binary) << content;
        name_ = name;
    }
    ~ScratchFile() { std::filesystem::remove(name_); }
    const std::string& name() const { return name_; }

private:
    std::string name_;
};

class Variable {
public:
    explicit Variable(const char* value) { ::setenv("SALLYPORT_TEST_SECRET", value, 1); }
    ~Variable() { ::unsetenv("SALLYPORT_TEST_SECRET"); }
};

}  // namespace

TEST_CASE("secret: from the environment, a file and a command; one line ending is cut off") {
    const Variable variable("from-env");
    CHECK(value_of(from_env("s", "SALLYPORT_TEST_SECRET")) == "from-env");
    CHECK(value_of(from_file(ScratchFile("from-file\n").name())) == "from-file");
    CHECK(value_of(from_file(ScratchFile("from-file\r\n").name())) == "from-file");
    CHECK(value_of(from_command({"printf", "%s\\n", "$HOME 'a'"})) == "$HOME 'a'");
}

TEST_CASE("secret: missing or empty stops the start and says where to look") {
    CHECK(mentions(refusal(from_env("s", "SALLYPORT_TEST_SECRET")), "SALLYPORT_TEST_SECRET is not set; export it"));
    const Variable variable("");
    CHECK(mentions(refusal(from_env("s", "SALLYPORT_TEST_SECRET")), "empty"));
    CHECK(mentions(refusal(from_file("/nonexistent/secret")), "/nonexistent/secret cannot be opened: No such file"));
    CHECK(mentions(refusal(from_file("/")), "cannot be read"));
    CHECK(mentions(refusal(from_file(ScratchFile("\n").name())), "empty"));
    CHECK(mentions(refusal(from_command({"true"})), "empty"));
}

TEST_CASE("secret: what cannot stand in a header field stops the start, unseen") {
    for (const std::string text :
         {"hidden\nsecond", "hidden\n\n", "hid\rden", "hidden\t", "hid\x1b[0m", "hid\x7f", " hidden"})
        CHECK_FALSE(refusal(from_file(ScratchFile(text).name())).empty());
    CHECK_FALSE(refusal(from_file(ScratchFile(std::string("hidden\0", 7)).name())).empty());
    CHECK(mentions(refusal(from_file(ScratchFile(std::string(70'000, 'x')).name())), "64 KiB"));
    CHECK(value_of(from_file(ScratchFile("inner space").name())) == "inner space");
}

TEST_CASE("secret command: failures are told apart") {
    CHECK(mentions(refusal(from_command({"sh", "-c", "echo hidden; exit 3"})), "the command sh exited with status 3"));
    CHECK(mentions(refusal(from_command({"sh", "-c", "kill -9 $$"})), "killed by signal 9"));
    CHECK(mentions(refusal(from_command({"/nonexistent/tool"})), "cannot be started: No such file"));
    CHECK(mentions(refusal(from_command({"head", "-c", "70000", "/dev/zero"})), "more than 64 KiB"));
    CHECK(mentions(refusal(from_command({"yes"})), "more than 64 KiB"));
}

TEST_CASE("secret command: no input, a process group of its own, ordinary signals") {
    CHECK(value_of(from_command({"sh", "-c", "cat; echo end"})) == "end");
    CHECK(value_of(from_command({"sh", "-c", "test $(cut -d' ' -f5 /proc/$$/stat) = $$ && echo leader"})) == "leader");
    CHECK(value_of(from_command({"sed", "-n", "s/^SigBlk:.//p", "/proc/self/status"})) == "0000000000000000");
}

TEST_CASE("secret command: one that leaves a child behind is not waited for beyond its own end") {
    const auto started = std::chrono::steady_clock::now();
    const auto result = run_command({"sh", "-c", "sleep 5 2>/dev/null & echo value"}, std::chrono::seconds(10));
    REQUIRE(result);
    CHECK(*result == "value\n");
    CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds(4));
}

TEST_CASE("secret command: at the time limit the whole group is killed") {
    const ScratchFile pid_file("");
    const auto result =
        run_command({"sh", "-c", "sleep 1000 2>/dev/null & echo $! > " + pid_file.name() + "; exec >&-; wait"},
                    std::chrono::seconds(3));
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::timed_out);
    int pid = 0;
    std::ifstream(pid_file.name()) >> pid;
    REQUIRE(pid > 1);
    // Dead, or a zombie until whoever adopted it looks.
    const auto alive = [&] {
        std::string ignored, state = "gone";
        std::ifstream("/proc/" + std::to_string(pid) + "/stat") >> ignored >> ignored >> state;
        return state != "gone" && state != "Z" && state != "X";
    };
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (alive() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    CHECK_FALSE(alive());
}

TEST_CASE("secret store: each host sees what is bound to it, and the rest as foreign") {
    const Variable variable("value");
    std::string error;
    auto first = from_env("first", "SALLYPORT_TEST_SECRET");
    first.hosts.push_back(policy::HostPattern::parse("a.example", error).value());
    auto second = from_env("second", "SALLYPORT_TEST_SECRET");
    second.hosts.push_back(policy::HostPattern::parse("*.b.example", error).value());
    const auto both = store({first, second});

    const auto a = both.for_host("a.example");
    REQUIRE(a.bound.size() == 1);
    CHECK(a.bound[0].rule.name == "first");
    CHECK(a.bound[0].value.reveal() == "value");
    REQUIRE(a.foreign.size() == 1);
    CHECK(a.foreign[0]->name == "second");
    CHECK(both.for_host("x.b.example").bound.at(0).rule.name == "second");
    CHECK(both.for_host("b.example").bound.empty());
    CHECK(both.for_host("b.example").foreign.size() == 2);
    CHECK(both.all().size() == 2);
}

TEST_CASE(
    "secret store: a variable is wiped as it is read; who shares it has the value, no command sees it, a reload keeps "
    "it") {
    const Variable variable("from-env");
    const auto rules = [] {
        auto shown = from_command({"sh", "-c", "echo \"<$SALLYPORT_TEST_SECRET>\""});
        return std::make_shared<policy::Policy>(
            std::vector<policy::Rule>{},
            std::vector{shown, from_env("first", "SALLYPORT_TEST_SECRET"), from_env("second", "SALLYPORT_TEST_SECRET")},
            std::vector<policy::Route>{});
    };
    const Store at_start(rules());
    CHECK(std::getenv("SALLYPORT_TEST_SECRET") == std::string());
    const Store reloaded(rules(), at_start, Reread::all);
    for (const auto* one : {&at_start, &reloaded}) {
        const auto all = one->all();
        CHECK(all.at(0).value.reveal() == "<>");
        CHECK(all.at(1).value.reveal() == "from-env");
        CHECK(all.at(2).value.reveal() == "from-env");
    }
}
