#include "gateway/tls/authority.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "gateway/base/startup_error.hpp"
#include "gateway/tls/certificate_parts.hpp"

using namespace sallyport;
using tls::Authority;

namespace {

constexpr std::time_t kDay = 24 * 60 * 60;

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string text = (std::filesystem::temp_directory_path() / "sallyport-test-XXXXXX").string();
        REQUIRE(mkdtemp(text.data()) != nullptr);
        path_ = text;
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

std::string contents(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

mode_t mode_of(const std::filesystem::path& path) {
    struct stat status {};
    REQUIRE(stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

std::string refusal(const std::filesystem::path& dir) {
    try {
        Authority::load_or_create(dir);
    } catch (const StartupError& error) {
        return error.what();
    }
    return "(accepted)";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("authority: the first start makes it, the second finds the same") {
    const TemporaryFolder folder;
    const auto dir = folder.path() / "data" / "sallyport";
    const auto first = Authority::load_or_create(dir);
    CHECK(mode_of(dir) == 0700);
    CHECK(mode_of(dir / "authority.pem") == 0600);
    CHECK_FALSE(std::filesystem::exists(dir / "authority.pem.new"));
    const auto second = Authority::load_or_create(dir);
    CHECK(first.certificate_pem() == second.certificate_pem());
    CHECK_FALSE(contains(first.certificate_pem(), "PRIVATE"));
    const auto key = tls::make_p256_key();
    CHECK(second.sign_leaf("api.example", key.get(), std::time(nullptr)).has_value());
}

TEST_CASE("authority: it is a P-256 root, for two years to come and two that are past, that may sign leaves only") {
    const std::time_t now = std::time(nullptr);
    const auto authority = Authority::ephemeral(now);
    X509* const x = authority.certificate();
    CHECK(X509_check_ca(x) == 1);
    CHECK(X509_get_pathlen(x) == 0);
    CHECK(X509_get_key_usage(x) == (KU_KEY_CERT_SIGN | KU_CRL_SIGN));
    CHECK(X509_get0_subject_key_id(x) != nullptr);
    CHECK(X509_get_signature_nid(x) == NID_ecdsa_with_SHA256);
    CHECK(EVP_PKEY_get_bits(X509_get0_pubkey(x)) == 256);
    CHECK(tls::to_time(X509_get0_notBefore(x)) == now - 730 * kDay);  // a clock may be set back
    CHECK(authority.not_after() == now + 730 * kDay);
    char name[128] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof name);
    CHECK(std::string(name).starts_with("Sallyport CA ("));
    CHECK(std::string(name).size() <= 64);
}

TEST_CASE("authority: many first starts at once end with the same one") {
    const TemporaryFolder folder;
    const auto dir = folder.path() / "state";
    constexpr int kStarts = 8;
    std::vector<pid_t> children;
    for (int i = 0; i < kStarts; ++i) {
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            const auto authority = Authority::load_or_create(dir);
            std::ofstream(folder.path() / ("seen" + std::to_string(i))) << authority.certificate_pem();
            _exit(0);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    const std::string stored = Authority::load_or_create(dir).certificate_pem();
    for (int i = 0; i < kStarts; ++i) CHECK(contents(folder.path() / ("seen" + std::to_string(i))) == stored);
}

TEST_CASE("authority: one that ends within 30 days is replaced, one day earlier it is kept") {
    const TemporaryFolder folder;
    const std::time_t now = std::time(nullptr);
    const auto old = Authority::load_or_create(folder.path(), now - 699 * kDay);
    CHECK(Authority::load_or_create(folder.path(), now).certificate_pem() == old.certificate_pem());
    const auto fresh = Authority::load_or_create(folder.path(), now + kDay);
    CHECK(fresh.certificate_pem() != old.certificate_pem());
    CHECK(Authority::load_or_create(folder.path(), now + kDay).certificate_pem() == fresh.certificate_pem());
    CHECK(mode_of(folder.path() / "authority.pem") == 0600);
}

TEST_CASE("authority: one that was made while the clock was years ahead is replaced, one of a clock set back is kept") {
    const TemporaryFolder folder;
    const std::time_t now = std::time(nullptr);
    const auto ahead = Authority::load_or_create(folder.path(), now + 1000 * kDay);
    const auto fresh = Authority::load_or_create(folder.path(), now);
    CHECK(fresh.certificate_pem() != ahead.certificate_pem());
    CHECK(fresh.not_before() <= now);
    for (const std::time_t back : {1, 30, 700})
        CHECK(Authority::load_or_create(folder.path(), now - back * kDay).certificate_pem() == fresh.certificate_pem());
}

TEST_CASE("authority: a key file that others can read is refused, with the remedy, and left alone") {
    const TemporaryFolder folder;
    Authority::load_or_create(folder.path());
    const auto file = folder.path() / "authority.pem";
    const std::string before = contents(file);
    for (const mode_t mode : {0640, 0604, 0660}) {
        chmod(file.c_str(), mode);
        const std::string why = refusal(folder.path());
        CHECK(contains(why, "others may know the key"));
        CHECK(contains(why, "rm '" + file.string() + "'"));
    }
    CHECK(contents(file) == before);
}

TEST_CASE("authority: a folder that others can write is refused") {
    const TemporaryFolder folder;
    chmod(folder.path().c_str(), 0770);
    CHECK(contains(refusal(folder.path()), "can be written by others: chmod 700"));
    CHECK_FALSE(std::filesystem::exists(folder.path() / "authority.pem"));
}

TEST_CASE("authority: a file of another user is refused") {
    if (geteuid() != 0) {
        MESSAGE("skipped: giving a file to another user needs root");
        CHECK(std::getenv("CI") == nullptr);
        return;
    }
    const TemporaryFolder folder;
    Authority::load_or_create(folder.path());
    REQUIRE(chown((folder.path() / "authority.pem").c_str(), 12345, 12345) == 0);
    CHECK(contains(refusal(folder.path()), "belongs to user 12345"));
}

TEST_CASE("authority: a key and certificate that do not belong together are refused") {
    const TemporaryFolder one, other;
    Authority::load_or_create(one.path());
    const auto stranger = Authority::load_or_create(other.path());
    const auto file = one.path() / "authority.pem";
    const std::string text = contents(file);
    const std::string key = text.substr(0, text.find("-----BEGIN CERTIFICATE"));
    std::ofstream(file, std::ios::trunc) << key << stranger.certificate_pem();
    CHECK(contains(refusal(one.path()), "do not belong together"));
}

TEST_CASE("authority: damage, a leaf in its place and a symbolic link are refused") {
    const TemporaryFolder folder;
    Authority::load_or_create(folder.path());
    const auto file = folder.path() / "authority.pem";
    const std::string text = contents(file);

    std::ofstream(file, std::ios::trunc) << text.substr(0, text.size() / 2);
    CHECK(contains(refusal(folder.path()), "holds no key and certificate"));
    std::ofstream(file, std::ios::trunc) << "";
    CHECK(contains(refusal(folder.path()), "holds no key and certificate"));

    std::filesystem::rename(file, folder.path() / "elsewhere");
    std::filesystem::create_symlink("elsewhere", file);
    CHECK(contains(refusal(folder.path()), "cannot open"));
}

TEST_CASE("authority: what is left of a start that was killed does not disturb the next") {
    const TemporaryFolder folder;
    std::ofstream(folder.path() / "authority.pem.new") << "half a k";
    Authority::load_or_create(folder.path());
    CHECK_FALSE(std::filesystem::exists(folder.path() / "authority.pem.new"));
    CHECK(refusal(folder.path()) == "(accepted)");
}
