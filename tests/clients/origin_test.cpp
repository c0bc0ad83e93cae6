// [[origin]] with a real server that demands a certificate: openssl s_server. What the policy names files for is the
// gateway's alone.

#include <doctest/doctest.h>

#include <cctype>
#include <optional>
#include <string>

#include "tests/support/sandbox.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

/// Answers with what it knows of the connection, to those who show a certificate of `clients`.
class DemandingServer {
public:
    DemandingServer(const Sandbox& files, const testing::TestCa& own, const testing::TestCa& clients) {
        const auto identity = own.good("127.0.0.1");
        files.write("server.pem", testing::to_pem(identity.certificate.get()) + testing::to_pem(identity.key.get()));
        files.write("clients.pem", clients.pem());
        ShellOptions options;
        options.directory = files.directory();
        program_.emplace(std::vector<std::string>{"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
                                                  "server.pem", "-CAfile", "clients.pem", "-Verify", "1",
                                                  "-verify_return_error", "-www", "-no_dhe", "-naccept", "100"},
                         options);
        const auto line = program_->first_line();  // "ACCEPT 127.0.0.1:PORT"
        port_ = line.substr(line.rfind(':') + 1);
        while (!port_.empty() && !std::isdigit(static_cast<unsigned char>(port_.back()))) port_.pop_back();
    }
    const std::string& port() const { return port_; }

private:
    std::optional<Program> program_;
    std::string port_;
};

}  // namespace

TEST_CASE("origin: a server that demands a certificate gets it; the command has neither that nor its key") {
    const testing::TestCa corporate("Corporate CA"), clients("Client CA");
    const auto me = clients.good("me.example");
    const auto key = testing::to_pem(me.key.get());
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, "");
        const DemandingServer server(sandbox, corporate, clients);
        const std::string policy =
            "[[allow]]\nhost = \"api.example.test\"\n[[route]]\nhost = \"api.example.test\"\n"
            "to = \"https://127.0.0.1:" +
            server.port() + "\"\n";
        sandbox.write("ca.pem", corporate.pem());
        sandbox.write("me.pem", testing::to_pem(me.certificate.get()));
        sandbox.write("me.key", key);
        sandbox.write("sallyport.toml", policy +
                                            "[[origin]]\nhost = \"127.0.0.1\"\nca = \"ca.pem\"\n"
                                            "client_certificate = \"me.pem\"\nclient_key = \"me.key\"\n");
        const auto ran = sandbox.run("curl -sS -w '%{http_code}' https://api.example.test/");
        CAPTURE(ran.shown());
        CHECK(ran.says("Client certificate"));
        CHECK(ran.out.ends_with("200"));
        const auto inside = sandbox.run(
            "cat me.key me.pem; cat ca.pem; echo mine >> ca.pem; cp ca.pem other; mv other ca.pem; "
            "echo left; test -r me.key && wc -c < me.key");
        CAPTURE(inside.shown());
        CHECK(inside.out.find(corporate.pem()) != std::string::npos);
        CHECK_FALSE(inside.says("PRIVATE KEY"));
        CHECK(inside.out.ends_with("left\n0\n"));
        const auto ca = run_program({"cat", sandbox.directory() / "ca.pem"});
        CHECK(ca.out == corporate.pem());

        sandbox.write("sallyport.toml", policy + "[[origin]]\nhost = \"127.0.0.1\"\nca = \"ca.pem\"\n");
        const auto without = sandbox.run("curl -sS -w '%{http_code}' https://api.example.test/");
        CAPTURE(without.shown());
        CHECK(without.out.ends_with("502"));
        CHECK(without.says("asks for a client certificate"));

        sandbox.write("sallyport.toml", policy + "[[origin]]\nhost = \"127.0.0.1\"\nca = \"me.key\"\n");
        const auto wrong = sandbox.run("echo started");
        CHECK(wrong.exited_with(125));
        CHECK(wrong.complains("sallyport.toml:6): the file "));
        CHECK(wrong.complains("me.key holds no certificate in PEM"));
        CHECK_FALSE(wrong.says("started"));
    }
}
