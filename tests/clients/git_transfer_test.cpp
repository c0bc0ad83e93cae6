// git over https in all the ways that it moves objects, against git's own server side.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/support/sandbox.hpp"
#include "tests/support/transfer_origin.hpp"

using namespace sallyport::test;
using nlohmann::json;

namespace {

const std::vector<std::string> kNobody = {"GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1",
                                          "GIT_AUTHOR_NAME=A",     "GIT_AUTHOR_EMAIL=a@example.test",
                                          "GIT_COMMITTER_NAME=A",  "GIT_COMMITTER_EMAIL=a@example.test",
                                          "GIT_CONFIG_COUNT=1",    "GIT_CONFIG_KEY_0=http.version"};

struct Pair {
    std::string what;
    Speaks origin;
    std::string client;  ///< git's word for its protocol
};

const Pair kPairs[] = {
    {"h1 to h1", Speaks::https1, "HTTP/1.1"},
    {"h1 to h2", Speaks::https2, "HTTP/1.1"},
    {"h2 to h1", Speaks::http1, "HTTP/2"},
    {"h2 to h2", Speaks::https2, "HTTP/2"},
};

/// project.git, bare, which `script` fills from beside it.
void make_repository(const TransferOrigin& origin, const std::string& script) {
    ShellOptions options;
    options.directory = origin.repositories();
    options.limit = std::chrono::minutes(3);
    options.environment.insert(options.environment.end(), kNobody.begin(), kNobody.end());
    options.environment.emplace_back("GIT_CONFIG_VALUE_0=HTTP/1.1");
    const auto made = run_program({"sh", "-ec",
                                   "git init -q --bare -b main project.git; cd project.git; "
                                   "git config http.receivepack true; git config uploadpack.allowFilter true; "
                                   "git config core.bigFileThreshold 1m; git config core.compression 0; cd ..; " +
                                       script},
                                  options);
    CAPTURE(made.shown());
    REQUIRE(made.exited_with(0));
}

Sandbox sandbox_for(const Pair& pair, User user, const TransferOrigin& origin) {
    auto environment = kNobody;
    environment.push_back("GIT_CONFIG_VALUE_0=" + pair.client);
    return Sandbox(user, origin.serves("git.example.test", pair.origin), &origin, environment);
}

/// http.postBuffer. With curl before 8.7, a push by HTTP/2 without a length hangs now and then, with any server, when a
/// window ends a little before it does; so that one that is larger than a window is given a length.
constexpr const char* kBeyondWindow = "200m";

std::size_t arrived(const TransferOrigin& origin, const std::string& path, const std::string& field,
                    const std::string& value) {
    const auto requests = origin.requests();
    return static_cast<std::size_t>(std::count_if(requests.begin(), requests.end(), [&](const json& request) {
        return request["path"].get<std::string>().ends_with(path) && request["headers"].value(field, "") == value;
    }));
}

constexpr const char* kTenCommits =
    "git init -q -b main work; cd work; for i in $(seq 10); do echo $i >file; mkdir $i; echo \"only in $i\" >$i/other; "
    "git add .; git commit -qm \"c "
    "$i\"; "
    "done; "
    "git push -q ../project.git main";

}  // namespace

TEST_CASE("git: a shallow clone is deepened, and then made whole") {
    const TransferOrigin origin;
    make_repository(origin, kTenCommits);
    for (const auto& pair : kPairs)
        for (const auto user : one_sandbox_user()) {
            CAPTURE(pair.what);
            const auto sandbox = sandbox_for(pair, user, origin);
            const auto ran = sandbox.run(
                "git clone -q --depth 2 https://git.example.test/git/project.git && cd project && "
                "git rev-list --count HEAD && git fetch -q --deepen 3 && git rev-list --count HEAD && "
                "git fetch -q --unshallow && git rev-list --count HEAD && git fsck --strict && cat file 3/other");
            CAPTURE(ran.shown());
            REQUIRE(ran.exited_with(0));
            CHECK(ran.out == "2\n5\n10\n10\nonly in 3\n");
            CHECK(sandbox.audited({{"decision", "deny"}}) == 0);
            CHECK(arrived(origin, "/git-upload-pack", "git-protocol", "version=2") >= 6);
        }
}

TEST_CASE("git: a partial clone fetches what it lacks when it needs it") {
    const TransferOrigin origin;
    make_repository(origin, kTenCommits);
    for (const auto& pair : kPairs)
        for (const auto user : one_sandbox_user()) {
            CAPTURE(pair.what);
            const auto sandbox = sandbox_for(pair, user, origin);
            const auto missing = std::string("git rev-list --objects --all --missing=print | grep -c '^?'; ");
            const auto ran = sandbox.run(
                "git clone -q --filter=blob:none --no-checkout https://git.example.test/git/project.git && cd "
                "project; " +
                missing + "git checkout -q main && " + missing + "git show HEAD~5:file && " + missing +
                "git clone -q --filter=tree:0 --sparse https://git.example.test/git/project.git ../sparse && cd "
                "../sparse && "
                "git sparse-checkout set 7 && ls");
            CAPTURE(ran.shown());
            REQUIRE(ran.exited_with(0));
            CHECK(ran.out == "20\n9\n5\n8\n7\nfile\n");
            CHECK(sandbox.audited({{"decision", "deny"}}) == 0);
        }
}

TEST_CASE("git: a request of many lines is compressed, and a push larger than the buffer has no length") {
    const TransferOrigin origin;
    make_repository(origin, std::string(kTenCommits) +
                                "; for i in $(seq 60); do git branch b$i; git commit -q --allow-empty -m $i; done; "
                                "git push -q ../project.git --all");
    for (const auto& pair : kPairs)
        for (const auto user : one_sandbox_user()) {
            CAPTURE(pair.what);
            const auto compressed = arrived(origin, "/git-upload-pack", "content-encoding", "gzip");
            const auto sandbox = sandbox_for(pair, user, origin);
            // A push that has no length, less than one window of ours: see kBeyondWindow.
            const auto ran = sandbox.run(
                "git clone -q https://git.example.test/git/project.git && cd project && git branch -r | wc -l && "
                "head -c 150000 /dev/urandom >random && git add . && git commit -qm large && "
                "git -c http.postBuffer=65536 push -q origin HEAD:refs/heads/large && git ls-remote origin large && "
                "git rev-parse HEAD && git push -q origin :large && git ls-remote origin large");
            CAPTURE(ran.shown());
            REQUIRE(ran.exited_with(0));
            CHECK(ran.out.starts_with("62\n"));
            const auto pushed = ran.out.substr(3, 40);
            CHECK(ran.out == "62\n" + pushed + "\trefs/heads/large\n" + pushed + "\n");
            CHECK(arrived(origin, "/git-upload-pack", "content-encoding", "gzip") > compressed);
            CHECK(sandbox.audited({{"path", "/git/project.git/git-receive-pack"}, {"status", 200}}) ==
                  3);  // one asks only
            const auto requests = origin.requests();
            CHECK(std::any_of(requests.begin(), requests.end(), [&](const json& request) {
                return request["path"] == "/git/project.git/git-receive-pack" &&
                       !request["headers"].contains("content-length");
            }));
        }
}

TEST_CASE("git: packs of hundreds of megabytes are cloned and pushed") {
    const TransferOrigin origin;
    // 200 MB in one pack, put there without the detour by files.
    make_repository(
        origin,
        "{ for i in 1 2 3 4; do printf 'blob\\nmark :%d\\ndata 50000000\\n' $i; head -c 50000000 /dev/urandom; "
        "done; printf 'commit refs/heads/main\\ncommitter A <a@example.test> 0 +0000\\ndata 5\\nlarge\\n'; "
        "for i in 1 2 3 4; do echo \"M 100644 :$i $i\"; done; } | git -C project.git fast-import --quiet");
    for (const auto& pair : kPairs) {
        if (pair.what == "h1 to h2" || pair.what == "h2 to h1") continue;
        for (const auto user : one_sandbox_user()) {
            CAPTURE(pair.what);
            auto sandbox = sandbox_for(pair, user, origin);
            sandbox.options.limit = std::chrono::minutes(3);
            const auto ran = sandbox.run(
                "git clone -q https://git.example.test/git/project.git && cd project && git config http.postBuffer " +
                std::string(pair.client == "HTTP/2" ? kBeyondWindow : "1m") +
                " && "
                "rm 2 3 4 && head -c 100000000 /dev/urandom >5 && git add -A && git commit -qm more && "
                "git push -q -f origin HEAD:refs/heads/more && git ls-remote origin more && git rev-parse HEAD");
            CAPTURE(ran.shown());
            REQUIRE(ran.exited_with(0));
            CHECK(ran.out.substr(0, 40) == ran.out.substr(ran.out.find('\n') + 1, 40));
            std::uint64_t in = 0, out = 0;
            for (const auto& line : sandbox.audit()) {
                in += line.value("bytes_in", std::uint64_t{0});
                out += line.value("bytes_out", std::uint64_t{0});
            }
            CHECK(in > 200'000'000);
            CHECK(out > 100'000'000);
        }
    }
}
