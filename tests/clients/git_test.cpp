// git over https, against git's own server side.

#include <doctest/doctest.h>

#include <string>

#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

const std::vector<std::string> kNoPrompt = {"GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1",
                                            "GIT_AUTHOR_NAME=A",     "GIT_AUTHOR_EMAIL=a@example.test",
                                            "GIT_COMMITTER_NAME=A",  "GIT_COMMITTER_EMAIL=a@example.test"};

/// Bare, with two commits on `main`.
void make_repository(const StandIn& origin, const std::string& name) {
    ShellOptions options;
    options.directory = origin.repositories();
    options.environment.insert(options.environment.end(), kNoPrompt.begin(), kNoPrompt.end());
    const auto made = run_program(
        {"sh", "-ec",
         "git init -q --bare -b main $0.git; git init -q -b main work; cd work; echo one >file; git add file; "
         "git commit -qm first; echo two >file; git commit -qam second; git push -q ../$0.git main; "
         "git -C ../$0.git config http.receivepack true; rm -r ../work",
         name},
        options);
    CAPTURE(made.shown());
    REQUIRE(made.exited_with(0));
}

/// As the presets github-fetch and github-push have it.
std::string rules(const char* host, const char* service) {
    const std::string name = service;
    return "[[allow]]\nhost = \"" + std::string(host) +
           "\"\nmethod = \"GET\"\npath = \"/*/*/info/refs\"\nquery = { service = \"" + name +
           "\" }\n[[allow]]\nhost = \"" + host + "\"\nmethod = \"POST\"\npath = \"/*/*/" + name + "\"\n";
}

}  // namespace

TEST_CASE("git: under fetch rules clone, shallow clone and fetch work, and push is refused in readable words") {
    const StandIn origin;
    make_repository(origin, "project");
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, rules("git.example.test", "git-upload-pack") + origin.route("git.example.test"),
                              &origin, kNoPrompt);
        const auto cloned = sandbox.run(
            "git clone -q https://git.example.test/git/project.git && cat project/file && "
            "git -C project log --format=%s && git -C project fetch && "
            "git clone -q --depth 1 https://git.example.test/git/project.git shallow && "
            "git -C shallow log --format=%s");
        CAPTURE(cloned.shown());
        REQUIRE(cloned.exited_with(0));
        CHECK(cloned.out == "two\nsecond\nfirst\nsecond\n");
        CHECK(sandbox.audited({{"decision", "deny"}}) == 0);
        CHECK(sandbox.audited({{"path", "/git/project.git/git-upload-pack"}, {"method", "POST"}, {"status", 200}}) >=
              2);

        const auto before = origin.requests().size();
        const auto pushed = sandbox.run("cd project && git commit -q --allow-empty -m third && git push");
        CAPTURE(pushed.shown());
        CHECK_FALSE(pushed.exited_with(0));
        CHECK(pushed.complains("403"));
        CHECK(pushed.complains("sallyport refused this request."));  // git shows a page of plain text
        CHECK(pushed.complains("service=git-receive-pack"));
        CHECK(origin.requests().size() == before);
        CHECK(sandbox.audited({{"decision", "deny"},
                               {"status", 403},
                               {"path", "/git/project.git/info/refs?service=git-receive-pack"}}) == 1);
    }
}

TEST_CASE("git: a private repository is cloned and pushed to with a token that the sandbox does not have") {
    const StandIn origin;
    make_repository(origin, "secret");
    const auto secret =
        "[[secret]]\nname = \"git-token\"\nhost = \"git.example.test\"\nbasic = \"x-access-token\"\nvalue = { env = "
        "\"TOKEN\" }\n";
    for (const auto user : sandbox_users()) {
        auto environment = kNoPrompt;
        environment.push_back(std::string("TOKEN=") + StandIn::kKey);
        const auto all = rules("git.example.test", "git-upload-pack") + rules("git.example.test", "git-receive-pack") +
                         origin.route("git.example.test");
        const std::string commands =
            "env; git clone -q https://git.example.test/private/secret.git && cd secret && cat file && "
            "git commit -q --allow-empty -m \"by $(id -un)\" && git push -q && git ls-remote";
        const Sandbox sandbox(user, all + secret, &origin, environment);
        const auto ran = sandbox.run(commands);
        CAPTURE(ran.shown());
        REQUIRE(ran.exited_with(0));
        CHECK(ran.says("\ntwo\n"));
        CHECK(ran.says("refs/heads/main"));
        CHECK_FALSE(ran.says(StandIn::kKey));
        CHECK(sandbox.audited({{"decision", "allow"},
                               {"secrets", {"git-token"}},
                               {"path", "/private/secret.git/git-receive-pack"}}) == 1);
        CHECK(sandbox.audited({{"secrets", {"git-token"}}}) == sandbox.audit().size());

        const auto without =
            Sandbox(user, all, &origin, kNoPrompt).run("git ls-remote https://git.example.test/private/secret.git");
        CHECK(without.exited_with(128));
        CHECK(without.complains("could not read Username"));  // and did not wait for one
    }
}
