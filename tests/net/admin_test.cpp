// Who asks the gateway how it is, and for new rules, is answered over a socket that is its owner's alone.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "gateway/base/startup_error.hpp"
#include "tests/support/served_rules.hpp"

using namespace sallyport;
using namespace sallyport::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kAllow = "[[allow]]\nhost = \"a.test\"\n";

}  // namespace

TEST_CASE("admin: health and status by exit status and in words") {
    ServedRules served(kAllow);
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
    ServedRules served(kAllow);
    served.start();
    struct stat info {};
    REQUIRE(::stat(served.file("run/admin.sock").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    REQUIRE(::stat(served.file("run").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0700);
    ServedRules second(kAllow);
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
    ServedRules third(kAllow);
    fs::create_symlink(served.file("run"), third.file("run"));
    third.start();
    CHECK(third.command("health") == 0);
    third.stop();
    std::ofstream(served.file("run/admin.sock")) << "precious";
    ServedRules fourth(kAllow);
    fs::create_symlink(served.file("run"), fourth.file("run"));
    CHECK_THROWS_AS(fourth.start(), StartupError);
    CHECK(fs::file_size(served.file("run/admin.sock")) == 8);
}

TEST_CASE("admin: no gateway is one clear line; silent and endless clients cost nobody else") {
    CHECK_THROWS_WITH_AS(
        app::ask_gateway("health", "/nonexistent/s"),
        "no gateway answers at /nonexistent/s (--admin names another place): No such file or directory", StartupError);
    CHECK_THROWS_AS(app::ask_gateway("health", std::string(200, 'x')), StartupError);
    ServedRules served(kAllow);
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
