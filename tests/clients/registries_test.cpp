// Package managers against the real registries, through the gateway, under the presets that ship with it. The
// registries are those that the machine is set up for.

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "tests/support/sandbox.hpp"

using namespace sallyport::test;
namespace fs = std::filesystem;

namespace {

/// Whether it answers without a gateway; if not, that is said, and fails where CI is set.
bool is_reachable(const std::string& url) {
    const auto ran = run_program({"curl", "-sS", "-o", "/dev/null", "-m", "20", url});
    if (!ran.exited_with(0)) skip("no package network: " + ran.err);
    return ran.exited_with(0);
}

std::string npm_registry() {
    const auto registry = run_program({"npm", "config", "get", "registry"}).out;
    return registry.substr(0, registry.find('\n'));
}

bool is_ubuntu() {
    std::ifstream release("/etc/os-release");
    for (std::string line; std::getline(release, line);)
        if (line == "ID=ubuntu") return true;
    return false;
}

/// The address of the distribution's first package source.
std::string apt_site() {
    const auto sites = run_program({"apt-get", "indextargets", "--format", "$(SITE)"}).out;
    return sites.substr(0, sites.find('\n'));
}

}  // namespace

TEST_CASE("npm: a package is installed from the registry; publishing to the same host is refused") {
    const auto registry = npm_registry();
    if (!is_reachable(registry)) return;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, "use = [\"npm-install\"]\n");
        const auto installed =
            sandbox.run("npm install --no-update-notifier is-odd@3.0.1 && node -p 'require(\"is-odd\")(3)'");
        CAPTURE(installed.shown());
        REQUIRE(installed.exited_with(0));
        CHECK(installed.out.ends_with("true\n"));
        CHECK(sandbox.audited({{"decision", "allow"}, {"method", "GET"}, {"path", "/is-odd"}, {"status", 200}}) >= 1);
        CHECK(sandbox.audited({{"decision", "deny"}}) == 0);

        const auto refused = sandbox.run({"sh", "-c",
                                          "mkdir package && cd package && echo '{\"name\": \"sallyport-test-package\", "
                                          "\"version\": \"1.0.0\"}' >package.json && "
                                          "npm config set --location=user \"//${0#*//}:_authToken\" none; npm publish; "
                                          "curl -sS -X PUT -d data \"${0}left-pad\"",
                                          registry});
        CAPTURE(refused.shown());
        CHECK(refused.complains("E403"));
        CHECK(refused.says("no rule allows PUT /left-pad"));
        CHECK(sandbox.audited({{"decision", "deny"}, {"method", "PUT"}, {"path", "/left-pad"}, {"status", 403}}) == 1);
        CHECK(sandbox.audited({{"decision", "deny"}, {"method", "PUT"}, {"path", "/sallyport-test-package"}}) == 1);
        CHECK(sandbox.audited({{"decision", "allow"}, {"method", "PUT"}}) == 0);
    }
}

TEST_CASE("apt: lists are updated and a package is downloaded; nothing can be sent to the same host") {
    const auto site = apt_site();
    if (!is_reachable(site)) return;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, is_ubuntu() ? "use = [\"ubuntu-apt\"]\n" : "use = [\"debian-apt\"]\n");
        // The machine's own sources, but not those of others than the distribution, and state of our own.
        const auto ran = sandbox.run(
            "chmod 777 . && mkdir -p state/lists/partial cache/archives/partial sources && "
            "cp $(grep -lE '(debian\\.org|ubuntu\\.com)' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null) "
            "sources && "
            "printf '%s\\n' \"Dir::State \\\"$PWD/state\\\";\" 'Dir::State::status \"/var/lib/dpkg/status\";' "
            "\"Dir::Cache \\\"$PWD/cache\\\";\" 'Dir::Etc::SourceList \"/dev/null\";' \"Dir::Etc::SourceParts "
            "\\\"$PWD/sources\\\";\" "
            "'Acquire::Languages \"none\";' >apt.conf && export APT_CONFIG=$PWD/apt.conf && "
            "apt-get update && apt-get download hello && dpkg-deb -f hello_*.deb Package && dpkg-deb -x hello_*.deb . "
            "&& usr/bin/hello");
        CAPTURE(ran.shown());
        REQUIRE(ran.exited_with(0));
        CHECK(ran.out.ends_with("hello\nHello, world!\n"));
        CHECK_FALSE(ran.complains("W: "));
        CHECK(sandbox.audited({{"decision", "deny"}}) == 0);
        CHECK(sandbox.audited({{"decision", "allow"}, {"method", "GET"}}) >= 3);

        const auto sent = sandbox.run({"sh", "-c", "curl -sS -w '%{http_code}' -T /etc/hostname \"$0/\"", site});
        CAPTURE(sent.shown());
        CHECK(sent.out.ends_with("403"));
        CHECK(sent.says("no rule allows PUT "));
        CHECK(sandbox.audited({{"decision", "deny"}, {"method", "PUT"}}) == 1);
    }
}
