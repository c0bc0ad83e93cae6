// What a user gets wrong: one line says so, and nothing is open.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/engine.hpp"

using namespace sallyport::test;

namespace {

/// `docker run` of the image; it ended by itself.
Ran run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"run", "--rm", "--cap-drop=ALL"});
    return docker(std::move(arguments));
}

void check_one_line(const Ran& ran, const std::string& text) {
    INFO(ran.shown());
    CHECK(ran.exited_with(125));
    CHECK(ran.complains(text));
    CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
}

const std::vector<std::string> kDoorway = {"--user=0:65532", "sallyport", "doorway",
                                           "--socket=/run/sallyport/doorway/socket"};

std::vector<std::string> with(std::vector<std::string> options, const std::vector<std::string>& rest) {
    options.insert(options.end(), rest.begin(), rest.end());
    return options;
}

}  // namespace

TEST_CASE("mistake: a doorway without NET_ADMIN, and one in a network") {
    if (!engine_is_ready()) return;
    check_one_line(run(with({"--network=none"}, kDoorway)), "NET_ADMIN");
    check_one_line(run(with({"--cap-add=NET_ADMIN"}, kDoorway)), "network");
}

TEST_CASE("mistake: a gateway without a policy, without a doorway") {
    if (!engine_is_ready()) return;
    check_one_line(run({"sallyport", "gateway", "--doorway=/run/sallyport/doorway/socket"}),
                   "/etc/sallyport/policy.toml");

    const TempDirectory directory;
    const auto policy = directory.path() / "policy.toml";
    run_program({"sh", "-c", "chmod 755 " + directory.path().string() + "; touch " + policy.string()});
    const auto waiting =
        docker({"run", "-d", "--cap-drop=ALL", "-v", policy.string() + ":/etc/sallyport/policy.toml:ro", "sallyport",
                "gateway", "--doorway=/run/sallyport/doorway/socket"});
    INFO(waiting.shown());
    const auto id = waiting.out.substr(0, waiting.out.find('\n'));
    const auto said = run_program(
        {"timeout", "20", "sh", "-c", "until docker logs " + id + " 2>&1 | grep doorway; do sleep 0.2; done"},
        {.environment = {std::string("PATH=/usr/local/bin:/usr/bin:/bin"), "DOCKER_HOST=unix:///run/docker.sock"}});
    CHECK_MESSAGE(said.says("/run/sallyport/doorway/socket"), said.shown());
    docker({"rm", "-f", id});
}

TEST_CASE("mistake: a secret that the gateway's user cannot read is named, and the app stays closed") {
    if (!engine_is_ready()) return;
    const Compose sandbox({.policy = R"(
[[allow]]
host    = "api.example.test"
private = true

[[secret]]
name        = "anthropic"
host        = "api.example.test"
header      = "x-api-key"
value       = { file = "/run/secrets/anthropic" }
placeholder = "sk-ant-placeholder"
)",
                           .secret_mode = 0600});
    INFO(sandbox.started.shown());
    CHECK_FALSE(sandbox.started.exited_with(0));
    const auto log = sandbox.logs("gateway");
    CHECK_MESSAGE(log.find("/run/secrets/anthropic") != log.npos, log);
    CHECK_MESSAGE(log.find("65532") != log.npos, log);
    CHECK(sandbox.arrived().empty());
}
