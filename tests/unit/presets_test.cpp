#include "gateway/policy/presets.hpp"

#include <doctest/doctest.h>

#include <set>

#include "tests/support/policy_text.hpp"

using namespace sallyport::policy;

namespace {

struct Row {
    const char* preset;
    const char* method;
    const char* host;
    const char* target;
    bool allowed;
};

}  // namespace

TEST_SUITE("presets") {
    TEST_CASE("each preset loads alone and says in its first line what it is for") {
        std::set<std::string_view> names;
        for (const Preset& preset : presets()) {
            INFO(std::string(preset.name));
            names.insert(preset.name);
            CHECK(preset.text.starts_with("# "));
            CHECK(preset.text.substr(0, preset.text.find('\n')).size() <= 120);
            const auto policy = policy_of("use = '" + std::string(preset.name) + "'");
            CHECK(!policy->rules().empty());
            for (const Rule& rule : policy->rules())
                CHECK(rule.action == Action::allow);  // a preset takes nothing away
            CHECK(policy->secrets().empty());
            CHECK(policy->route_for("api.anthropic.com") == nullptr);
        }
        CHECK(names == std::set<std::string_view>{"claude-code", "claude-telemetry", "npm-install", "npm-publish",
                                                  "github-read", "github-write", "github-fetch", "github-push",
                                                  "github-ssh", "vscode", "debian-apt", "ubuntu-apt",
                                                  "github-actions-runner"});
        CHECK(find_preset("nonesuch") == nullptr);
    }

    TEST_CASE("a preset allows what it is for, and not what people want apart from it") {
        const Row table[] = {
            {"claude-code", "POST", "api.anthropic.com", "/v1/messages?beta=true", true},
            {"claude-code", "POST", "platform.claude.com", "/v1/oauth/token", true},
            {"claude-code", "GET", "platform.claude.com", "/", false},
            {"claude-code", "GET", "downloads.claude.ai", "/claude-code-releases/latest", true},
            {"claude-code", "GET", "storage.googleapis.com", "/somebody-else/x", false},
            {"claude-code", "POST", "statsig.com", "/v1/rgstr", false},
            {"claude-code", "GET", "evil.anthropic.com.evil.com", "/", false},
            {"claude-telemetry", "POST", "statsig.anthropic.com", "/v1/rgstr", true},
            {"claude-telemetry", "POST", "o1.ingest.us.sentry.io", "/api/1/envelope/", true},
            {"claude-telemetry", "POST", "sentry.io", "/api/1/envelope/", true},
            {"claude-telemetry", "POST", "api.anthropic.com", "/v1/messages", false},
            {"npm-install", "GET", "x.npmjs.org", "/@types%2fnode", true},
            {"npm-install", "GET", "x.npmjs.org", "/react/-/react-18.0.0.tgz", true},
            {"npm-install", "GET", "x.yarnpkg.com", "/react/-/react-18.0.0.tgz", true},
            {"npm-install", "PUT", "x.yarnpkg.com", "/@acme%2fx", false},
            {"npm-install", "POST", "x.npmjs.org", "/-/npm/v1/security/advisories/bulk", true},
            {"npm-install", "PUT", "x.npmjs.org", "/@acme%2fx", false},
            {"npm-install", "POST", "x.npmjs.org", "/-/v1/login", false},
            {"npm-publish", "PUT", "x.npmjs.org", "/@acme%2fx", true},
            {"npm-publish", "PUT", "x.npmjs.org", "/x", true},
            {"npm-publish", "PUT", "x.npmjs.org", "/-/package/x/dist-tags/latest", true},
            {"npm-publish", "PUT", "x.npmjs.org", "/-/package/@acme%2fx/dist-tags/latest", true},
            {"npm-publish", "DELETE", "x.npmjs.org", "/x/-rev/1", false},
            {"npm-publish", "PUT", "x.npmjs.org", "/-/user/org.couchdb.user:x", false},
            {"github-read", "GET", "github.com", "/acme/x", true},
            {"github-read", "GET", "api.github.com", "/repos/acme/x/pulls?state=open", true},
            {"github-read", "GET", "api.github.com", "/zen", true},
            {"github-read", "HEAD", "codeload.github.com", "/acme/x/tar.gz/main", true},
            {"github-read", "GET", "release-assets.githubusercontent.com", "/x?sp=r", true},
            {"github-read", "POST", "api.github.com", "/repos/acme/x/issues", false},
            {"github-read", "POST", "api.github.com", "/graphql", false},
            {"github-read", "GET", "api.github.com", "/gists/1", false},
            {"github-read", "GET", "api.github.com", "/users/x/gists", false},
            {"github-read", "GET", "gist.github.com", "/x/1", false},
            {"github-read", "GET", "gist.githubusercontent.com", "/x/1/raw", false},
            {"github-read", "POST", "github.com", "/acme/x/git-upload-pack", false},
            {"github-write", "POST", "api.github.com", "/repos/acme/x/issues", true},
            {"github-write", "POST", "api.github.com", "/graphql", true},
            {"github-write", "POST", "api.github.com", "/gists", false},
            {"github-write", "DELETE", "api.github.com", "/user/keys/1", false},
            {"github-fetch", "GET", "github.com", "/acme/x.git/info/refs?service=git-upload-pack", true},
            {"github-fetch", "POST", "github.com", "/acme/x.git/git-upload-pack", true},
            {"github-fetch", "GET", "github.com", "/acme/x.git/info/refs?service=git-receive-pack", false},
            {"github-fetch", "GET", "github.com", "/acme/x.git/info/refs", false},
            {"github-fetch", "POST", "github.com", "/acme/x.git/git-receive-pack", false},
            {"github-push", "GET", "github.com", "/acme/x.git/info/refs?service=git-receive-pack", true},
            {"github-push", "POST", "github.com", "/acme/x.git/git-receive-pack", true},
            {"github-push", "POST", "github.com", "/acme/x.git/git-upload-pack", false},
            {"github-ssh", "GET", "github.com", "/", false},
            {"vscode", "GET", "update.code.visualstudio.com", "/api/latest/server-linux-x64/stable", true},
            {"vscode", "POST", "marketplace.visualstudio.com", "/_apis/public/gallery/extensionquery", true},
            {"vscode", "GET", "anthropic.gallerycdn.vsassets.io", "/extensions/x", true},
            {"vscode", "GET", "main.vscode-cdn.net", "/extensions/marketplace.json", true},
            {"vscode", "PUT", "vscode.blob.core.windows.net", "/x", false},
            {"vscode", "GET", "evil.blob.core.windows.net", "/x", false},
            {"vscode", "POST", "mobile.events.data.microsoft.com", "/OneCollector/1.0", false},
            {"debian-apt", "GET", "mirror.debian.org", "/debian/dists/bookworm/InRelease", true},
            {"debian-apt", "POST", "mirror.debian.org", "/", false},
            {"ubuntu-apt", "GET", "mirror.ubuntu.com", "/ubuntu/dists/noble/InRelease", true},
            {"ubuntu-apt", "PUT", "mirror.ubuntu.com", "/x", false},
        };
        for (const Row& row : table) {
            const auto policy = policy_of("use = '" + std::string(row.preset) + "'");
            CHECK_MESSAGE(request(*policy, row.host, row.method, row.target).allowed == row.allowed, row.preset, ": ",
                          row.method, " ", row.host, row.target);
        }
    }

    TEST_CASE("apt's plain http is allowed, ssh to GitHub by name only, and no preset passes TLS through") {
        const auto policy = policy_of("use = ['debian-apt', 'github-ssh', 'github-read', 'claude-code', 'vscode']");
        CHECK(request(*policy, "mirror.debian.org", "GET", "/debian/", 80).allowed);
        CHECK(decide_stream(*policy, {"github.com", 22}, false).allowed);
        CHECK(!decide_stream(*policy, {"mirror.debian.org", 22}, false).allowed);
        CHECK(!decide_stream(*policy, {"evil.com", 22}, false).allowed);
        for (const char* host : {"github.com", "api.anthropic.com", "mirror.debian.org"})
            CHECK(!decide_stream(*policy, {host, 443}, true).allowed);
    }

    TEST_CASE("the runner's agent is passed through to its own hosts, and to no other of GitHub") {
        const auto policy = policy_of("use = ['github-actions-runner', 'github-read']");
        for (const char* host :
             {"broker.actions.githubusercontent.com", "results-receiver.actions.githubusercontent.com",
              "productionresultssa7.blob.core.windows.net"})
            CHECK_MESSAGE(decide_stream(*policy, {host, 443}, true).allowed, host);
        for (const char* host : {"github.com", "api.github.com", "codeload.github.com", "raw.githubusercontent.com",
                                 "gist.githubusercontent.com", "blob.core.windows.net", "core.windows.net"})
            CHECK_MESSAGE(!decide_stream(*policy, {host, 443}, true).allowed, host);
        CHECK(!decide_stream(*policy, {"broker.actions.githubusercontent.com", 443}, false).allowed);
        CHECK(!request(*policy, "broker.actions.githubusercontent.com", "GET", "/", 80).allowed);
    }

    TEST_CASE("together they cover what the devcontainer's init-firewall.sh lets through") {
        const auto policy = policy_of(
            "use = ['claude-code', 'claude-telemetry', 'npm-install', 'github-read', 'github-write', 'github-fetch', "
            "'github-push', 'github-ssh', 'vscode']");
        for (const char* host :
             {"x.npmjs.org", "api.anthropic.com", "sentry.io", "statsig.com", "github.com",
              "marketplace.visualstudio.com", "vscode.blob.core.windows.net", "update.code.visualstudio.com"})
            CHECK_MESSAGE(request(*policy, host, "GET", "/").allowed, host);
        CHECK(request(*policy, "api.github.com", "GET", "/zen").allowed);
        CHECK(resolution(*policy, "example.com") == Resolution::no);
    }
}
