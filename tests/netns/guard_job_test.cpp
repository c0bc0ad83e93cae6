// action.yml's `guard: job` and `finish`, their steps run as GitHub runs them.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/job_machine.hpp"

using namespace sallyport::test;

namespace {

const std::string kRunner = "use = [\"github-actions-runner\"]\n";
const std::string kAllowed = "curl -fsS -m 10 https://api.example.test/echo/1";
const std::string kDenied = "curl -fsS -m 10 https://other.example.test/echo";

std::string policy(const JobMachine& machine) {
    return kRunner + "[[allow]]\nhost = \"api.example.test\"\n" + machine.origin->route("api.example.test") +
           machine.origin->route("other.example.test");
}

std::string direct(const JobMachine& machine) {
    return "curl -fsS -m 10 https://" + std::string(JobMachine::kOrigin) + ":" + machine.origin->port() + "/echo";
}

/// Where the machine's packets went since the last call, but for what else a connection of the gateway's sends that was
/// open already, or dies with it.
std::string left(const JobMachine& machine) {
    constexpr std::size_t kProtocol = 14 + 9, kFlags = 14 + 20 + 13;  // Ethernet, IPv4 without options
    constexpr char kTcp = 6, kSyn = 2;
    std::string all;
    const auto recorded = machine.outside->recorded();
    const auto destinations = recorded.destinations();
    for (std::size_t i = 0; i < destinations.size(); ++i) {
        const auto& frame = recorded.frames[i];
        const bool follows = frame.size() > kFlags && frame[kProtocol] == kTcp && !(frame[kFlags] & kSyn);
        if (!follows || !destinations[i].starts_with("tcp ")) all += destinations[i] + "; ";
    }
    return all;
}

void check_open(const JobMachine& machine) {
    CHECK(machine.run(direct(machine)).status == 0);
    CHECK(machine.run("sudo test -e /var/lib/sallyport-job").status == 1);
}

}  // namespace

TEST_CASE("guarded job: steps reach what the policy allows, until the job is finished; the table is the summary") {
    const auto machine = JobMachine::create();
    if (!machine) return;
    machine->write_policy(policy(*machine));
    check_open(*machine);
    CHECK(left(*machine) == "tcp " + std::string(JobMachine::kOrigin) + ":" + machine->origin->port() + "; ");
    const auto guarded = machine->use({"guard=job"});
    CAPTURE(guarded.output);
    REQUIRE(guarded.status == 0);
    CHECK(guarded.says("the rest of this job reaches only what the policy allows"));
    const auto pid = machine->run("cat /var/lib/sallyport-job/pid").output;
    CHECK(machine->run("grep \"^Uid:.$(id -u sallyport)\" /proc/$(cat /var/lib/sallyport-job/pid)/status").status == 0);

    const auto allowed = machine->run(kAllowed);
    CAPTURE(allowed.output);
    CHECK(allowed.status == 0);
    CHECK(allowed.says("\"path\": \"/echo/1\""));
    CHECK(machine->run("env -i " + kAllowed).status == 0);  // by the system's certificates, without our variables
    CHECK(machine->run("[[ $NODE_EXTRA_CA_CERTS == /* && -r $NODE_EXTRA_CA_CERTS ]]").status == 0);
    left(*machine);
    CHECK(machine->run(kDenied).status != 0);
    CHECK(machine->run(direct(*machine)).status != 0);
    CHECK(machine->run("sudo " + kDenied).status != 0);
    CHECK(left(*machine) == "");
    CHECK(machine->use({"guard=job"}).says("guarded already"));
    CHECK(machine->run(kAllowed).status == 0);

    const auto finished = machine->use({"finish=true"});
    CAPTURE(finished.output);
    CHECK(finished.status == 0);
    CHECK(finished.says("not guarded any more"));
    const auto summary = machine->summary();
    CAPTURE(summary);
    CHECK(summary.starts_with("\n### Sallyport: 3 allowed"));
    CHECK(summary.find("| denied | `other.example.test` | `DNS` |") != summary.npos);
    CHECK(summary.find("| allowed | `api.example.test` | `GET` | `/echo/*` | 3 | `sallyport.toml:2` |") !=
          summary.npos);
    CHECK(machine->run("kill -0 " + pid).says("No such process"));
    check_open(*machine);

    const auto again = machine->use({"finish=true"});
    CHECK(again.status == 0);
    CHECK(again.says("no job is guarded"));
    CHECK(machine->summary().empty());
    check_open(*machine);
}

TEST_CASE("guarded job: what was denied fails the last step where that was asked for, and the log is the job's") {
    const auto machine = JobMachine::create();
    if (!machine) return;
    machine->write_policy(policy(*machine));
    for (const bool denied : {true, false}) {
        REQUIRE(machine->use({"guard=job", "fail-on-deny=true", "audit-log=audit.jsonl"}).status == 0);
        CHECK(machine->run(kAllowed).status == 0);
        if (denied) CHECK(machine->run(kDenied).status != 0);
        CHECK(machine->use({"finish=true"}).status == (denied ? 1 : 0));
        CHECK((machine->read("audit.jsonl").find("other.example.test") != std::string::npos) == denied);
        CHECK(machine->run("rm audit.jsonl").status == 0);
        check_open(*machine);
    }
}

TEST_CASE("guarded job: audit mode lets through, and says that nothing was enforced") {
    const auto machine = JobMachine::create();
    if (!machine) return;
    machine->write_policy(kRunner + machine->origin->route("other.example.test"));
    const auto guarded = machine->use({"guard=job", "mode=audit"});
    CHECK(guarded.status == 0);
    CHECK(guarded.says("AUDIT MODE"));
    CHECK(machine->run(kDenied).status == 0);
    CHECK(machine->use({"finish=true"}).status == 0);
    CHECK(machine->summary().find("**Audit mode: nothing was enforced.**") != std::string::npos);
    CHECK(machine->run("rm sallyport.toml").status == 0);
    CHECK(machine->use({"guard=job", "mode=audit"}).status == 0);  // no policy is as good as an empty one
    CHECK(machine->use({"finish=true"}).status == 0);
}

TEST_CASE("guarded job: a mistake fails the step, in one line, and leaves the machine as it was") {
    const auto machine = JobMachine::create();
    if (!machine) return;
    const auto refused = [&](const std::vector<std::string>& inputs, const std::string& why) {
        const auto step = machine->use(inputs);
        CAPTURE(step.output);
        CHECK(step.status == 125);
        CHECK(step.says("::error title=Sallyport::"));
        CHECK(step.says(why));
        check_open(*machine);
    };
    refused({"guard=job"}, "sallyport.toml");
    machine->write_policy("[[allow]]\nhost = \"api.example.test\"\n");
    refused({"guard=job"}, "add use = [\"github-actions-runner\"]");
    machine->write_policy(kRunner + "[[allow]]\nhots = \"api.example.test\"\n");
    refused({"guard=job"}, "the policy sallyport.toml has mistakes");
    machine->write_policy(kRunner +
                          "[[secret]]\nname = \"a\"\nhost = \"a.test\"\nheader = \"a\"\nvalue = { env = \"GONE\" }\n");
    refused({"guard=job"}, "GONE");  // found out when the rules are there
    machine->write_policy(kRunner);
    refused({"guard=job", "mode=loud"}, "does not serve");
    refused({"guard=step"}, "can only be 'job'");
    refused({"guard=job", "run=true"}, "only one");
    refused({"guard=job", "binary=/nowhere"}, "names no program");
}

TEST_CASE("guarded job: a connection from before is ended at once, so that whoever held it makes a new one") {
    const auto machine = JobMachine::create();
    if (!machine) return;
    machine->write_policy(policy(*machine));
    const std::string agent =
        "import socket, sys\n"
        "agent = socket.create_connection(('" +
        std::string(JobMachine::kOrigin) + "', " + machine->origin->port() + R"(), 10)
open('connected', 'w')
sys.stdin.readline()
try:
    agent.send(b'x')
    what = repr(agent.recv(1))
except OSError as error:
    what = type(error).__name__
open('ended', 'w').write(what)
)";
    CHECK(machine
              ->run("mkfifo go; setsid python3 -c \"" + agent +
                    "\" <>go >/dev/null 2>&1 &\n"
                    "until [[ -e connected ]]; do sleep 0.05; done")
              .status == 0);
    REQUIRE(machine->use({"guard=job"}).status == 0);
    CHECK(machine->run("echo >go; for i in {1..200}; do [[ ! -s ended ]] || break; sleep 0.05; done").status == 0);
    CHECK(machine->read("ended") == "ConnectionResetError");
    CHECK(machine->use({"finish=true"}).status == 0);
}

TEST_CASE(
    "guarded job: the gateway asks the servers behind systemd-resolved, and refuses to ask another resolver here") {
    const auto machine = JobMachine::create();
    if (!machine) return;
    machine->write_policy(policy(*machine));
    const auto resolver = [&](const std::string& address) {
        return machine->run("echo 'nameserver " + address + "' | sudo tee /etc/resolv.conf").status == 0;
    };
    REQUIRE(resolver("127.0.0.1"));
    CHECK(machine->use({"guard=job"}).says("the resolver 127.0.0.1 on this machine would be guarded too"));
    REQUIRE(resolver("127.0.0.53"));
    CHECK(machine->use({"guard=job"}).says("/run/systemd/resolve/resolv.conf cannot be read"));
    check_open(*machine);
    CHECK(machine
              ->run("sudo mkdir -p /run/systemd/resolve; printf '# its own\\nnameserver 203.0.113.53\\nsearch .\\n' | "
                    "sudo tee /run/systemd/resolve/resolv.conf")
              .status == 0);
    REQUIRE(machine->use({"guard=job"}).status == 0);
    CHECK(machine->run("tr '\\0' ' ' </proc/$(cat /var/lib/sallyport-job/pid)/cmdline")
              .says("--name-server 203.0.113.53"));
    CHECK(machine->run(kAllowed).status == 0);
    CHECK(machine->use({"finish=true"}).status == 0);
}

TEST_CASE("guarded job: when the gateway dies nothing leaves, and the last step says so and opens the machine") {
    const auto machine = JobMachine::create();
    if (!machine) return;
    machine->write_policy(policy(*machine));
    REQUIRE(machine->use({"guard=job"}).status == 0);
    CHECK(machine->run(kAllowed).status == 0);
    CHECK(machine->run("sudo kill -KILL $(cat /var/lib/sallyport-job/pid)").status == 0);
    left(*machine);
    CHECK(machine->run(kAllowed).status != 0);
    CHECK(machine->run(direct(*machine)).status != 0);
    CHECK(left(*machine) == "");
    const auto finished = machine->use({"finish=true"});
    CHECK(finished.status == 125);
    CHECK(finished.says("the gateway had ended before, with status 137"));
    check_open(*machine);
}
