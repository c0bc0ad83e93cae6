// PostgreSQL, whose TLS begins inside its own protocol, and SMTP, where the server speaks first: real servers, by name.

#include <doctest/doctest.h>

#include "tests/support/real_servers.hpp"
#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

std::string rule_for(const std::string& host, const RealServer& server) {
    return "[[allow]]\nhost = \"" + host + "\"\nport = " + server.port() + "\nprivate = true\n";
}

/// Every connection was let through, and its bytes and time are on record.
void check_audit(const Sandbox& sandbox, const std::string& host, std::size_t connections) {
    const auto events = sandbox.audit();
    CHECK(events.size() == connections);
    for (const auto& event : events) {
        CAPTURE(event.dump());
        CHECK(event["decision"] == "allow");
        CHECK(event["host"] == host);
        CHECK(event["protocol"] == "tcp");
        CHECK(event["rule"] == sandbox.policy_file().string() + ":1");
        CHECK(event["bytes_out"] > 50);
        CHECK(event["bytes_in"] > 50);
        CHECK(event["duration_ms"] > 0);
    }
}

}  // namespace

TEST_CASE("PostgreSQL: psql with and without TLS, whose certificate is the server's own; large results arrive") {
    const sallyport::testing::TestCa ca;
    const PostgresServer server(ca, "db.example.test");
    const NameServer names({"db.example.test", "db2.example.test"});
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, rule_for("db.example.test", server), nullptr, {"PGPASSWORD=origin"});
        sandbox.run_options = names.run_options();
        sandbox.write("ca.pem", ca.pem());
        const auto ran = sandbox.run("at='host=db.example.test port=" + server.port() +
                                     " user=postgres dbname=postgres sslrootcert=ca.pem'; "
                                     "for mode in require verify-full disable; do psql \"$at sslmode=$mode\" -Atc "
                                     "'select ssl from pg_stat_ssl where pid = pg_backend_pid()'; done; "
                                     "psql \"$at sslmode=require\" -Atc \"select repeat('x', 20000000)\" | wc -c");
        CAPTURE(ran.shown());
        CHECK(ran.exited_with(0));
        CHECK(ran.out == "t\nt\nf\n20000001\n");
        check_audit(sandbox, "db.example.test", 4);

        const auto elsewhere =
            sandbox.run("psql 'host=db2.example.test port=" + server.port() + " user=postgres' -c 'select 1'");
        CHECK(elsewhere.exited_with(2));
        CHECK(elsewhere.complains("could not translate host name"));
    }
}

TEST_CASE("SMTP: the server greets first, then STARTTLS with its own certificate; without TLS too") {
    const sallyport::testing::TestCa ca;
    const SmtpServer server(ca, "mail.example.test");
    const NameServer names({"mail.example.test"});
    std::size_t delivered = 0;
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, rule_for("mail.example.test", server));
        sandbox.run_options = names.run_options();
        sandbox.write("ca.pem", ca.pem());
        sandbox.write("send.py",
                      "import smtplib, ssl\n"
                      "with smtplib.SMTP('mail.example.test', " +
                          server.port() +
                          ") as smtp:\n"
                          "    smtp.starttls(context=ssl.create_default_context(cafile='ca.pem'))\n"
                          "    print(smtp.sock.version()[:4])\n"
                          "    smtp.sendmail('a@example.test', 'b@example.test', 'Subject: under TLS\\n\\n' + "
                          "'x\\n' * 1000000)\n");
        const auto ran =
            sandbox.run("python3 send.py && swaks --silent --server mail.example.test --port " + server.port() +
                        " --from a@example.test --to b@example.test --helo here "
                        "--header 'Subject: in the clear'");
        CAPTURE(ran.shown());
        CHECK(ran.exited_with(0));
        CHECK(ran.says("TLSv"));
        check_audit(sandbox, "mail.example.test", 2);
        const auto messages = server.messages();
        REQUIRE(messages.size() == delivered + 2);
        CHECK(messages[delivered].find("Subject: under TLS") != std::string::npos);
        CHECK(messages[delivered].size() > 2'000'000);
        CHECK(messages[delivered + 1].find("Subject: in the clear") != std::string::npos);
        delivered = messages.size();
    }
}

TEST_CASE("SMTP: where no rule names the port, the client that waits for a greeting is reset, not left to wait") {
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, "[[allow]]\nhost = \"mail.example.test\"\n");
        const auto ran = sandbox.run(
            "swaks --server mail.example.test --port 25 --from a@example.test --to "
            "b@example.test; swaks --server 203.0.113.9 --port 587 --from a@example.test "
            "--to b@example.test");
        CAPTURE(ran.shown());
        CHECK_FALSE(ran.exited_with(0));
        const auto events = sandbox.audit();
        REQUIRE(events.size() == 2);
        CHECK(events[0]["host"] == "mail.example.test");
        CHECK(events[0]["port"] == 25);
        CHECK(events[1]["port"] == 587);
        for (const auto& event : events) {
            CHECK(event["decision"] == "deny");
            CHECK(event["duration_ms"] < 5000);
        }
    }
}
