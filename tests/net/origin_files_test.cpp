// The files of [[origin]]: read at the start and when they change; what is wrong with them is said with line and file.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "gateway/base/startup_error.hpp"
#include "gateway/policy/load.hpp"
#include "gateway/secrets/store.hpp"
#include "tests/support/test_ca.hpp"

using namespace sallyport;
using secrets::Reread;
using secrets::Store;

namespace {

class Folder {
public:
    Folder() {
        std::string name = std::filesystem::temp_directory_path() / "sallyport-origin-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    void write(const std::string& name, const std::string& content) const { std::ofstream(path_ / name) << content; }

    std::shared_ptr<const policy::Policy> policy(const std::string& text) const {
        return std::get<std::shared_ptr<const policy::Policy>>(policy::load(text, path_ / "p.toml"));
    }
    Store store(const std::string& text) const { return Store(policy(text)); }
    std::string error(const std::string& text) const {
        try {
            store(text);
        } catch (const StartupError& error) {
            const std::string message = error.what();
            CHECK(message.starts_with("[[origin]] (" + (path_ / "p.toml").string() + ":1): "));
            CHECK(message.find("PRIVATE KEY") == std::string::npos);
            return message;
        }
        return "";
    }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

constexpr const char* kCa = "[[origin]]\nhost = \"a.test\"\nca = \"ca.pem\"\n";
constexpr const char* kClient =
    "[[origin]]\nhost = \"a.test\"\nclient_certificate = \"me.pem\"\nclient_key = \"me.key\"\n";

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("origin files: what they hold is there for the host, and for no other") {
    const Folder folder;
    const testing::TestCa ca;
    const auto me = ca.good("me.test");
    folder.write("ca.pem", ca.pem());
    folder.write("me.pem", testing::to_pem(me.certificate.get()) + ca.pem());
    folder.write("me.key", testing::to_pem(me.key.get()));
    std::string policy(kClient);
    policy += "[[origin]]\nhost = \"*.b.test\"\nca = \"ca.pem\"\nmin_tls = \"1.3\"\n";
    const auto store = folder.store(policy);
    const auto a = store.origin_options("a.test"), b = store.origin_options("x.b.test");
    REQUIRE(a);
    REQUIRE(b);
    CHECK(a->files->identity->issuers.size() == 1);
    CHECK(a->files->authorities.empty());
    CHECK_FALSE(a->only_tls13);
    CHECK(b->files->authorities.size() == 1);
    CHECK_FALSE(b->files->identity);
    CHECK(b->only_tls13);
    CHECK(a->id != b->id);
    CHECK_FALSE(store.origin_options("b.test"));
    CHECK_FALSE(store.origin_options("c.test"));
}

TEST_CASE("origin files: what cannot be used stops the start, with line, file and reason") {
    const Folder folder;
    const testing::TestCa ca;
    const auto me = ca.good("me.test");
    CHECK(mentions(folder.error(kCa), "ca.pem cannot be opened: No such file"));
    folder.write("ca.pem", "not a certificate");
    CHECK(mentions(folder.error(kCa), "ca.pem holds no certificate in PEM"));
    folder.write("ca.pem", std::string(2 * 1024 * 1024, '#'));
    CHECK(mentions(folder.error(kCa), "ca.pem is longer than 1 MiB"));
    std::filesystem::create_directory(folder.path() / "me.pem");
    CHECK(mentions(folder.error(kClient), "me.pem cannot be read: Is a directory"));
    std::filesystem::remove(folder.path() / "me.pem");
    folder.write("me.pem", testing::to_pem(me.certificate.get()));
    CHECK(mentions(folder.error(kClient), "me.key cannot be opened"));
    folder.write("me.key", testing::to_pem(ca.good("other.test").key.get()));
    CHECK(mentions(folder.error(kClient), "the key is not that of the certificate"));
    CHECK(mentions(folder.error(kClient), "me.pem, "));
    folder.write("me.key", testing::to_pem(me.key.get()));
    CHECK(folder.error(kClient).empty());
}

TEST_CASE("origin files: a reload reads them again; under run they stay what they were at the start") {
    const Folder folder;
    const testing::TestCa first, second;
    folder.write("ca.pem", first.pem());
    const auto before = folder.store(kCa);
    const auto id = before.origin_options("a.test")->id;
    folder.write("ca.pem", second.pem());
    CHECK(Store(folder.policy(kCa), before, Reread::all_but_commands).origin_options("a.test")->id != id);
    CHECK(Store(folder.policy(kCa), before, Reread::nothing).origin_options("a.test")->id == id);
    // Other hosts and versions need no file.
    const auto wider = folder.policy(
        "[[origin]]\nhost = [\"a.test\", \"b.test\"]\nca = \"ca.pem\"\nmin_tls = \"1.3\"\n"
        "[[origin]]\nhost = \"c.test\"\nmin_tls = \"1.3\"\n");
    const Store under_run(wider, before, Reread::nothing);
    CHECK(under_run.origin_options("b.test")->files == before.origin_options("a.test")->files);
    CHECK(under_run.origin_options("b.test")->only_tls13);
    CHECK(under_run.origin_options("c.test")->only_tls13);
    // Another file could be the command's.
    const auto other = folder.policy("[[origin]]\nhost = \"a.test\"\nca = \"other.pem\"\n");
    CHECK_THROWS_WITH_AS(Store(other, before, Reread::nothing), doctest::Contains("start again to use them"),
                         StartupError);
}
