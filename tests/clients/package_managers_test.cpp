// Package managers against a registry of our own, which speaks what we choose. Its name is the one that npm is set up
// for.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/support/installed.hpp"
#include "tests/support/sandbox.hpp"
#include "tests/support/transfer_origin.hpp"

using namespace sallyport::test;

namespace {

struct Registry {
    std::string what;
    Speaks speaks;
};

const Registry kRegistries[] = {{"h1", Speaks::https1}, {"h2", Speaks::https2}};

struct Manager {
    std::string name, install, publish;
    std::string refused;  ///< what it says when it may not publish
};

const Manager kManagers[] = {
    {"npm", "npm install --no-update-notifier greeter", "npm publish", "403 Forbidden"},
    {"pnpm", "pnpm add greeter", "pnpm publish --no-git-checks", "403 Forbidden"},
    {"yarn", "yarn add --no-progress greeter", "yarn publish --non-interactive --new-version 1.0.1", "403"},
};

/// What it is set up for by itself.
std::string registry_url(const std::string& manager) {
    const TempDirectory home;
    ShellOptions options;
    options.environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + home.path().string()};
    const auto registry = run_program({manager, "config", "get", "registry"}, options).out;
    return registry.substr(0, registry.find('\n'));
}

std::string host_of(const std::string& url) {
    const auto begin = url.find("//") + 2;
    return url.substr(begin, url.find('/', begin) - begin);
}

}  // namespace

TEST_CASE("package managers: npm, pnpm and yarn install fifty packages, and none can publish") {
    const auto programs = installed("install-npm-clients");
    if (programs.empty()) return;
    const auto url = registry_url("npm"), host = host_of(url);
    const auto yarns =
        host_of(registry_url(programs + "/yarn"));  // it fetches the packages of npm's registry from there
    const TransferOrigin origin;
    REQUIRE(run_program({"node", SALLYPORT_SOURCE_DIR "/tests/clients/make_registry.js", origin.repositories(), url})
                .exited_with(0));
    for (const auto& registry : kRegistries)
        for (const auto& manager : kManagers)
            for (const auto user : one_sandbox_user()) {
                CAPTURE(registry.what);
                CAPTURE(manager.name);
                const Sandbox sandbox(user,
                                      "use = [\"npm-install\"]\n" + origin.route(host, registry.speaks) +
                                          origin.route(yarns, registry.speaks),
                                      &origin);
                sandbox.write(".npmrc", "registry=" + url + "\n//" + host + "/:_authToken=none\n");
                sandbox.write("package.json", "{\"name\": \"here\", \"version\": \"1.0.0\"}");
                const auto path = "export PATH=" + programs + ":$PATH; ";
                const auto done = sandbox.run(path + manager.install + " >&2 && node -p 'require(\"greeter\")'");
                CAPTURE(done.shown());
                CHECK(done.exited_with(0));
                CHECK(done.out == "hello 1225\n");
                CHECK(sandbox.audited({{"decision", "deny"}}) == 0);
                CHECK(sandbox.audited({{"method", "GET"}, {"status", 200}}) >= 104);

                const auto refused = sandbox.run(path + manager.publish);
                CAPTURE(refused.shown());
                CHECK_FALSE(refused.exited_with(0));
                CHECK((refused.complains(manager.refused) || refused.says(manager.refused)));
                CHECK(sandbox.audited({{"decision", "deny"}, {"method", "PUT"}, {"path", "/here"}}) >= 1);
            }
    for (const auto& request : origin.requests()) CHECK(request["method"] != "PUT");
}

TEST_CASE("package managers: pip installs a wheel and its dependency, and nothing can be sent to the index") {
    if (!has_program("/usr/bin/pip")) return skip("pip is not installed");
    const TransferOrigin origin;
    ShellOptions options;
    options.directory = origin.repositories();
    const auto made = run_program({"sh", "-ec", R"(
        wheel() {
            mkdir -p "work/$1-1.0.dist-info" "simple/$1" wheels
            echo "$3" >"work/$1.py"
            printf 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n' >"work/$1-1.0.dist-info/WHEEL"
            printf "Metadata-Version: 2.1\nName: $1\nVersion: 1.0\n$2" >"work/$1-1.0.dist-info/METADATA"
            printf "$1.py,,\n$1-1.0.dist-info/METADATA,,\n$1-1.0.dist-info/WHEEL,,\n$1-1.0.dist-info/RECORD,,\n" \
                >"work/$1-1.0.dist-info/RECORD"
            (cd work && python3 -m zipfile -c "../wheels/$1-1.0-py3-none-any.whl" *)
            rm -r work
            sum=$(sha256sum <"wheels/$1-1.0-py3-none-any.whl" | cut -c-64)
            echo "<a href=\"/wheels/$1-1.0-py3-none-any.whl#sha256=$sum\">$1-1.0-py3-none-any.whl</a>" >"simple/$1/index.html"
        }
        wheel words '' 'all = "hello"'
        wheel greeter 'Requires-Dist: words (>=1)\n' 'import words; print(words.all)')"},
                                  options);
    CAPTURE(made.shown());
    REQUIRE(made.exited_with(0));
    for (const auto& registry : kRegistries)
        for (const auto user : one_sandbox_user()) {
            CAPTURE(registry.what);
            const Sandbox sandbox(user,
                                  "[[allow]]\nhost = \"index.example.test\"\nmethod = [\"GET\", \"HEAD\"]\n" +
                                      origin.route("index.example.test", registry.speaks),
                                  &origin);
            const auto done = sandbox.run(
                "export PIP_INDEX_URL=https://index.example.test/simple/ PIP_DISABLE_PIP_VERSION_CHECK=1; "
                "/usr/bin/pip install -q --target lib greeter >&2 && PYTHONPATH=lib /usr/bin/python3 -c 'import "
                "greeter' && "
                "/usr/bin/pip download -q --no-cache-dir -d down greeter >&2 && ls down");
            CAPTURE(done.shown());
            CHECK(done.exited_with(0));
            CHECK(done.out == "hello\ngreeter-1.0-py3-none-any.whl\nwords-1.0-py3-none-any.whl\n");
            CHECK(sandbox.audited({{"decision", "deny"}}) == 0);
            CHECK(sandbox.audited({{"path", "/wheels/words-1.0-py3-none-any.whl"}, {"status", 200}}) == 2);

            // As twine does it.
            const auto sent = sandbox.run(
                "curl -sS -w '%{http_code}' -u a:b -F ':action=file_upload' -F "
                "content=@down/words-1.0-py3-none-any.whl https://index.example.test/legacy/");
            CAPTURE(sent.shown());
            CHECK(sent.out.ends_with("403"));
            CHECK(sent.says("no rule allows POST /legacy/"));
        }
    for (const auto& request : origin.requests()) CHECK(request["method"] != "POST");
}
