// Behind a real outer proxy that wants a password: tinyproxy, with a hosts file of its own, so that it alone knows
// where the origin is.

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <thread>

#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

constexpr const char* kPassword = "hunter2-b1946ac9";

/// A port of loopback that is free at the moment.
std::uint16_t free_port() {
    const sallyport::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    ::bind(fd.get(), reinterpret_cast<sockaddr*>(&where), size);
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&where), &size);
    return ntohs(where.sin_port);
}

bool listens(std::uint16_t port) {
    const sallyport::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(port);
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0;
}

class Tinyproxy {
public:
    Tinyproxy() {
        write("hosts", "127.0.0.1 localhost api.example.test\n");
        write("conf", "Port " + std::to_string(port_) + "\nListen 127.0.0.1\nTimeout 60\nBasicAuth someone " +
                          kPassword + "\nLogLevel Connect\nLogFile \"" + path("log") + "\"\n");
        ShellOptions options;
        options.directory = directory_.path();
        program_.emplace(std::vector<std::string>{"unshare", ::geteuid() == 0 ? "-m" : "-rm", "sh", "-c",
                                                  "mount --bind hosts /etc/hosts && exec tinyproxy -d -c conf"},
                         options);
        for (int i = 0; i < 1000 && !listens(port_); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }

    std::string url(const std::string& password) const {
        return "http://someone:" + password + "@127.0.0.1:" + std::to_string(port_);
    }
    std::string log() const {
        std::ifstream in(path("log"));
        return {std::istreambuf_iterator<char>(in), {}};
    }

private:
    std::string path(const std::string& name) const { return directory_.path() / name; }
    void write(const std::string& name, const std::string& content) const { std::ofstream(path(name)) << content; }

    TempDirectory directory_;
    std::uint16_t port_ = free_port();
    std::optional<Program> program_;
};

}  // namespace

TEST_CASE("outer proxy: curl through run, through tinyproxy with a password, to the origin; nothing of it inside") {
    if (!has_program("tinyproxy")) return skip("no tinyproxy");
    const StandIn origin("127.0.0.1", "api.example.test");
    const Tinyproxy proxy;
    const std::string policy =
        "[[allow]]\nhost = \"api.example.test\"\nport = " + origin.port() + "\npath = \"/echo/**\"\n";
    const std::string url = "https://api.example.test:" + origin.port();
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, policy, &origin, {"HTTPS_PROXY=" + proxy.url(kPassword), "NO_PROXY=elsewhere.test"});
        const auto ran = sandbox.run("curl -sS -w ' %{http_code}\\n' " + url + "/echo/x " + url + "/refused");
        CAPTURE(ran.shown());
        CHECK(ran.says("\"path\": \"/echo/x\""));
        CHECK(ran.says("}\n 200\n"));
        CHECK(ran.says(" 403\n"));
        CHECK(ran.complains("withheld from the command: HTTPS_PROXY (a proxy)"));
        CHECK(proxy.log().find("CONNECT api.example.test:" + origin.port()) != std::string::npos);

        // In two halves, so that the search does not find itself.
        const std::string password = kPassword;
        const auto search =
            sandbox.run({"sh", "-c",
                         "all=$(cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; env); "
                         "case $all in *\"$0$1\"*) echo in /proc;; *) echo nowhere;; esac",
                         password.substr(0, 8), password.substr(8)});
        CAPTURE(search.shown());
        CHECK(search.out == "nowhere\n");

        // The option wins, and so does its emptiness: without the proxy nobody knows the name.
        sandbox.run_options = {"--outer-proxy", ""};
        CHECK(sandbox.run("curl -sS -w '%{http_code}' " + url + "/echo/x").says("502"));
        sandbox.run_options = {"--outer-proxy", proxy.url(kPassword)};
        const auto refused = sandbox.run("true");
        CHECK(refused.exited_with(125));
        CHECK(refused.complains("put the URL into HTTPS_PROXY"));
        CHECK_FALSE(refused.complains(kPassword));
    }
}

TEST_CASE("outer proxy: a wrong password is a 502 that says what the proxy said, and is not shown") {
    if (!has_program("tinyproxy")) return skip("no tinyproxy");
    const StandIn origin("127.0.0.1", "api.example.test");
    const Tinyproxy proxy;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, "[[allow]]\nhost = \"api.example.test\"\n", &origin,
                              {"https_proxy=" + proxy.url("not-the-password")});
        const auto ran = sandbox.run("curl -sS -w '%{http_code}' https://api.example.test/echo/x");
        CAPTURE(ran.shown());
        CHECK(ran.says("502"));
        CHECK(ran.says("the outer proxy refused the connection to api.example.test:443 (401 Unauthorized)"));
        CHECK_FALSE(ran.says("not-the-password"));
        CHECK_FALSE(ran.complains("not-the-password"));
        for (const auto& line : sandbox.audit()) CHECK(line.dump().find("not-the-password") == std::string::npos);
    }
}

TEST_CASE("outer proxy: a gateway that shares its clients' variables does not take itself for the proxy") {
    const TempDirectory directory;
    std::ofstream(directory.path() / "policy.toml") << "";
    ShellOptions options;
    options.environment.push_back("HTTPS_PROXY=http://127.0.0.1:15080");
    const auto ran = run_program({program(), "gateway", "--policy", directory.path() / "policy.toml", "--state",
                                  directory.path(), "--admin", directory.path() / "admin.sock"},
                                 options);
    CAPTURE(ran.shown());
    CHECK(ran.exited_with(125));
    CHECK(ran.complains("HTTPS_PROXY is this gateway itself"));
}
