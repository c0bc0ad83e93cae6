// action.yml, its steps run as GitHub runs them.

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

/// A job's workspace, and the files that the runner gives to a step.
class Job {
public:
    explicit Job(const std::string& policy, const StandIn& origin) {
        std::ofstream(workspace() / "sallyport.toml") << policy;
        std::ofstream(workspace() / "origin-ca.pem") << origin.ca_pem();
        std::ofstream(summary()) << "";
    }

    Ran step(const std::vector<std::string>& inputs) const {
        std::vector<std::string> words{"python3", SALLYPORT_SOURCE_DIR "/tests/clients/run_action.py",
                                       SALLYPORT_SOURCE_DIR, workspace(), "binary=" + program()};
        words.insert(words.end(), inputs.begin(), inputs.end());
        ShellOptions options;
        options.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                               "LANG=C.UTF-8",
                               "HOME=" + workspace().string(),
                               "SSL_CERT_FILE=" + (workspace() / "origin-ca.pem").string(),
                               "GITHUB_STEP_SUMMARY=" + summary().string(),
                               "GITHUB_ENV=" + (files_.path() / "env").string()};
        return run_program(words, options);
    }

    std::string summarised() const {
        std::ostringstream out;
        out << std::ifstream(summary()).rdbuf();
        return out.str();
    }
    const std::filesystem::path& workspace() const { return workspace_.path(); }

private:
    std::filesystem::path summary() const { return files_.path() / "step_summary"; }

    TempDirectory workspace_, files_;
};

std::string policy(const StandIn& origin) {
    return "[[allow]]\nhost = \"api.example.test\"\n" + origin.route("api.example.test") +
           origin.route("other.example.test");
}

}  // namespace

TEST_CASE("action: a command runs under the policy, and the job's summary shows what it did") {
    const StandIn origin;
    const Job job(policy(origin), origin);
    const auto ran =
        job.step({"run=false | true || curl -sS https://api.example.test/echo/1\ncurl -s "
                  "https://other.example.test/echo || echo \"denied: $?\"\npwd"});
    CAPTURE(ran.shown());
    CHECK(ran.exited_with(0));
    CHECK(ran.says("\"path\": \"/echo/1\""));
    CHECK(ran.says("denied: 6"));
    CHECK(ran.says(job.workspace().string() + "\n"));
    const auto summary = job.summarised();
    CAPTURE(summary);
    CHECK(summary.starts_with("\n### Sallyport: 1 allowed, 1 denied\n"));
    CHECK(summary.find("| denied | `other.example.test` | `DNS` |") != summary.npos);
    CHECK(summary.find("| allowed | `api.example.test` | `GET` | `/echo/*` | 1 | `sallyport.toml:1` |") !=
          summary.npos);
    CHECK(summary.find("### Sallyport", 10) == summary.npos);  // once: trying out the sandbox is no run
}

TEST_CASE("action: the command's failure is the step's, and so is a denial where that was asked for") {
    const StandIn origin;
    const Job job(policy(origin), origin);
    CHECK(job.step({"run=exit 3"}).exited_with(3));
    CHECK(job.step({"run=false\ntrue"}).exited_with(1));
    const std::string denied = "run=curl -s https://other.example.test/echo || true";
    CHECK(job.step({denied}).exited_with(0));
    CHECK(job.step({denied, "fail-on-deny=true"}).exited_with(1));
    CHECK(job.step({"run=true", "fail-on-deny=true"}).exited_with(0));
}

TEST_CASE("action: audit mode lets through, logs, and says that nothing was enforced") {
    const StandIn origin;
    const Job job(policy(origin), origin);
    const auto ran = job.step({"run=curl -sS https://other.example.test/echo", "mode=audit", "audit-log=audit.jsonl"});
    CAPTURE(ran.shown());
    CHECK(ran.exited_with(0));
    CHECK(ran.says("\"path\": \"/echo\""));
    CHECK(job.summarised().find("**Audit mode: nothing was enforced.**") != std::string::npos);
    const auto suggested = run_program({program(), "suggest", job.workspace() / "audit.jsonl"});
    CHECK(suggested.says("host    = \"other.example.test\""));
}

TEST_CASE("action: inputs are values, and a mistake in them runs nothing") {
    const StandIn origin;
    const Job job(policy(origin), origin);
    const auto quoted =
        job.step({"run=echo \"'$0'\" '\"${{ inputs.mode }}$(echo x)'", "audit-log=a b\"; echo no;.jsonl"});
    CAPTURE(quoted.shown());
    CHECK(quoted.exited_with(0));
    CHECK(quoted.says("\"${{ inputs.mode }}$(echo x)\n"));
    CHECK(std::filesystem::exists(job.workspace() / "a b\"; echo no;.jsonl"));
    for (const std::vector<std::string>& bad : {std::vector<std::string>{"run="},
                                                {"run=touch ran", "mode=loud"},
                                                {"run=touch ran", "policy=gone.toml"},
                                                {"run=touch ran", "binary=/nowhere/sallyport"}}) {
        const auto ran = job.step(bad);
        CAPTURE(ran.shown());
        CHECK(ran.exited_with(125));
    }
    CHECK_FALSE(std::filesystem::exists(job.workspace() / "ran"));
}
