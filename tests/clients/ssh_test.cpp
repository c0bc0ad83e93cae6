// OpenSSH and git over ssh, against a real sshd: by name, through a virtual address.

#include <doctest/doctest.h>

#include "tests/support/real_servers.hpp"
#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

constexpr const char* kHost = "git.example.test";

/// Those of the audit log that are of connections to or through `port`.
std::vector<nlohmann::json> connections(const Sandbox& sandbox) {
    auto lines = sandbox.audit();
    std::erase_if(lines, [](const auto& line) { return line["event"] != "connection"; });
    return lines;
}

/// With what an ssh client needs: the account's key, and that of the server.
void prepare(Sandbox& sandbox, const SshServer& server, const NameServer& names) {
    sandbox.run_options = names.run_options();
    sandbox.write("key", server.key());
    sandbox.write("known_hosts", server.known_as(kHost));
    sandbox.write("config", "Host *\nUser " + server.account() + "\nPort " + server.port() + "\nIdentityFile " +
                                (sandbox.directory() / "key").string() + "\nIdentitiesOnly yes\nBatchMode yes\n" +
                                "StrictHostKeyChecking yes\nUserKnownHostsFile " +
                                (sandbox.directory() / "known_hosts").string() + "\n");
    sandbox.options.environment.push_back("GIT_SSH_COMMAND=ssh -F " + (sandbox.directory() / "config").string());
    std::filesystem::permissions(sandbox.directory() / "key", std::filesystem::perms(0600));
}

}  // namespace

TEST_CASE("ssh: git clone and push work for the host and port that a rule names; the host key is the origin's own") {
    SshServer server;
    const NameServer names({kHost, "other.example.test"});
    const auto repository = server.make_repository("one");
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, "[[allow]]\nhost = \"git.example.test\"\nport = " + server.port() + "\nprivate = true\n");
        prepare(sandbox, server, names);
        const auto at = server.account() + "@" + kHost;
        const auto cloned = sandbox.run(
            "git clone -q " + at + ":" + repository +
            " copy && cat copy/file && cd copy && git -c user.name=A -c user.email=a@example.test commit -q "
            "--allow-empty -m more && git push -q && git ls-remote -q | wc -l; ssh -F ../config " +
            at + "; echo $?");
        CAPTURE(cloned.shown());
        REQUIRE(cloned.exited_with(0));
        CHECK(cloned.out == "one2\n128\n");
        CHECK(cloned.complains("fatal: unrecognized command ''"));  // git-shell's word: we were there
        CHECK(sandbox.audited({{"decision", "deny"}}) == 0);
        const auto events = connections(sandbox);
        REQUIRE(events.size() == 4);
        for (const auto& event : events) {
            CAPTURE(event.dump());
            CHECK(event["decision"] == "allow");
            CHECK(event["host"] == kHost);
            CHECK(std::to_string(event["port"].get<int>()) == server.port());
            CHECK(event["protocol"] == "tcp");
            CHECK(event["rule"] == sandbox.policy_file().string() + ":1");
            CHECK(event["reason"].get<std::string>().starts_with("passed through"));  // the last may end with COMMAND
            CHECK(event["bytes_out"] > 1000);  // an ssh handshake alone has more, each way
            CHECK(event["bytes_in"] > 1000);
            CHECK(event["duration_ms"] > 0);
        }
    }
}

TEST_CASE("ssh: nowhere else: other names do not exist, other ports and addresses are reset at once, all on record") {
    SshServer server;
    const NameServer names({kHost, "other.example.test"});
    const auto other_port = server.port() == "2222" ? std::string("2223") : std::string("2222");
    for (const auto user : sandbox_users()) {
        Sandbox sandbox(user, "[[allow]]\nhost = \"git.example.test\"\nport = " + server.port() + "\nprivate = true\n");
        prepare(sandbox, server, names);
        const auto ran = sandbox.run("for to in other.example.test '-p " + other_port +
                                     " git.example.test' 203.0.113.7 '-p 22 2001:db8::7'; do ssh -F config $to; "
                                     "echo $?; done; git clone -q x@other.example.test:/project.git; echo $?");
        CAPTURE(ran.shown());
        CHECK(ran.out == "255\n255\n255\n255\n128\n");
        CHECK(ran.complains("Could not resolve hostname other.example.test"));
        CHECK(sandbox.audited({{"event", "name"}, {"name", "other.example.test"}, {"decision", "deny"}}) == 1);
        CHECK(sandbox.audited({{"decision", "allow"}}) == 0);
        const auto events = connections(sandbox);
        REQUIRE(events.size() == 3);
        CHECK(events[0]["host"] == kHost);
        CHECK(std::to_string(events[0]["port"].get<int>()) == other_port);
        CHECK(events[1]["host"] == "203.0.113.7");
        CHECK(events[2]["original_dst"] == "[2001:db8::7]:22");
        for (const auto& event : events) {
            CAPTURE(event.dump());
            CHECK(event["decision"] == "deny");
            CHECK(event["duration_ms"] < 5000);  // not by a time limit, which is ten seconds
        }
    }
}

TEST_CASE("ssh: an allowed name with a private address is refused without private = true, and says so in the log") {
    SshServer server;
    const NameServer names({kHost});
    Sandbox sandbox(User::ourselves, "[[allow]]\nhost = \"git.example.test\"\nport = " + server.port() + "\n");
    prepare(sandbox, server, names);
    const auto ran = sandbox.run("ssh -F config git.example.test");
    CAPTURE(ran.shown());
    CHECK(ran.exited_with(255));
    const auto events = connections(sandbox);
    REQUIRE(events.size() == 1);
    CHECK(events[0]["decision"] == "deny");
    CHECK(events[0]["reason"].get<std::string>().find("private = true in the rule allows it") != std::string::npos);
}
