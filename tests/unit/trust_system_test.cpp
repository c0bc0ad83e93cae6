#include "container/trust_system.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "container/files.hpp"
#include "container/java_trust_store.hpp"
#include "container/trust_files.hpp"
#include "gateway/base/startup_error.hpp"
#include "tests/support/test_ca.hpp"

using namespace sallyport;
using namespace sallyport::container;

namespace fs = std::filesystem;

namespace {

/// A system's files below a fresh directory.
class Root {
public:
    Root() {
        char name[] = "/tmp/sallyport-root-XXXXXX";
        path_ = fs::canonical(::mkdtemp(name));
    }
    Root(Root&&) = delete;
    ~Root() { fs::remove_all(path_); }

    std::string at(const std::string& path) const { return path_ + path; }
    void put(const std::string& path, const std::string& content) const {
        fs::create_directories(fs::path(at(path)).parent_path());
        write_file(at(path), content, 0644);
    }
    void make(const std::string& directory) const { fs::create_directories(at(directory)); }
    std::string text(const std::string& path) const { return read_file(at(path)).value_or("(no such file)"); }
    std::size_t count(const std::string& path, const std::string& what) const {
        std::size_t found = 0;
        const auto content = text(path);
        for (auto at = content.find(what); at != content.npos; at = content.find(what, at + 1)) ++found;
        return found;
    }

private:
    std::string path_;
};

constexpr const char* kDebianBundle = "/etc/ssl/certs/ca-certificates.crt";

void make_debian(const Root& root, const std::string& others) {
    root.put(kDebianBundle, others);
    root.make("/usr/local/share/ca-certificates");
    root.put("/etc/ssl/certs/java/cacerts", "old store");
    root.put("/etc/bash.bashrc", "# bash");
    root.put("/etc/environment", "LANG=C\nSSL_CERT_FILE=/old\n");
}

}  // namespace

TEST_CASE("trust on a system: Debian's bundle, hash directory, anchors, Java store and shells get our CA") {
    const testing::TestCa other("Other"), ours("Sallyport CA");
    const Root root;
    make_debian(root, other.pem());
    const auto changed = trust_on_system(ours.pem(), root.at(""));
    CHECK(changed.size() == 12);
    CHECK(root.text(kDebianBundle) == other.pem() + ours.pem());
    CHECK(root.text("/etc/ssl/certs/sallyport-ca.pem") == ours.pem());
    CHECK(root.text("/etc/ssl/certs/" + subject_hash(ours.pem()) + ".0") == ours.pem());
    CHECK(root.text("/usr/local/share/ca-certificates/sallyport-ca.crt") == ours.pem());
    CHECK(root.text("/etc/ssl/certs/java/cacerts") == java_trust_store(certificates_of(other.pem() + ours.pem())));
    for (const std::string browser : {"/etc/chromium", "/etc/opt/chrome"})
        CHECK(root.text(browser + "/policies/managed/sallyport-ca.json") == browser_policy(ours.pem()));
    // The paths are those of the system, not of where it lies.
    CHECK(root.count("/etc/profile.d/sallyport.sh",
                     "export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt\n") == 1);
    CHECK(root.text("/etc/environment").starts_with("LANG=C\n"));
    CHECK(root.count("/etc/environment", "SSL_CERT_FILE=") == 2);  // NIX_SSL_CERT_FILE is the other
    CHECK(root.count("/etc/environment", "/old") == 0);
    CHECK(root.text("/etc/bash.bashrc") == "# bash\n. /etc/profile.d/sallyport.sh\n");
    CHECK_FALSE(fs::exists(root.at("/etc/zsh/zshenv")));
}

TEST_CASE("trust on a system: a second time changes nothing, and another CA takes the place of the first") {
    const testing::TestCa other("Other"), first("Sallyport CA"), second("Sallyport CA");
    const Root root;
    make_debian(root, other.pem());
    trust_on_system(first.pem(), root.at(""));
    CHECK(trust_on_system(first.pem(), root.at("")).empty());
    CHECK_FALSE(trust_on_system(second.pem(), root.at("")).empty());
    CHECK(root.text(kDebianBundle) == other.pem() + second.pem());
    CHECK(root.text("/etc/ssl/certs/" + subject_hash(second.pem()) + ".0") == second.pem());
    CHECK_FALSE(fs::exists(root.at("/etc/ssl/certs/" + subject_hash(second.pem()) + ".1")));
    CHECK(trust_on_system(second.pem(), root.at("")).empty());
}

TEST_CASE("trust on a system: the hash of a namesake stays found beside ours") {
    const testing::TestCa namesake("Sallyport CA"), ours("Sallyport CA");
    const Root root;
    root.put(kDebianBundle, namesake.pem());
    root.put("/etc/ssl/certs/" + subject_hash(namesake.pem()) + ".0", namesake.pem());
    trust_on_system(ours.pem(), root.at(""));
    CHECK(root.text("/etc/ssl/certs/" + subject_hash(ours.pem()) + ".0") == namesake.pem());
    CHECK(root.text("/etc/ssl/certs/" + subject_hash(ours.pem()) + ".1") == ours.pem());
}

TEST_CASE("trust on a system: Fedora's one bundle under several names is changed once, links stay links") {
    const testing::TestCa other("Other"), ours("Sallyport CA");
    const Root root;
    const std::string bundle = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
    root.put(bundle, other.pem());
    root.make("/etc/pki/tls/certs");
    root.make("/etc/pki/ca-trust/source/anchors");
    fs::create_symlink("../../ca-trust/extracted/pem/tls-ca-bundle.pem", root.at("/etc/pki/tls/certs/ca-bundle.crt"));
    fs::create_symlink("certs/ca-bundle.crt", root.at("/etc/pki/tls/cert.pem"));
    trust_on_system(ours.pem(), root.at(""));
    CHECK(root.text(bundle) == other.pem() + ours.pem());
    CHECK(fs::is_symlink(root.at("/etc/pki/tls/cert.pem")));
    CHECK(root.text("/etc/pki/tls/cert.pem") == other.pem() + ours.pem());
    CHECK(root.text("/etc/pki/ca-trust/source/anchors/sallyport-ca.crt") == ours.pem());
    CHECK(root.count("/etc/profile.d/sallyport.sh", "=" + bundle + "\n") > 5);
}

TEST_CASE("trust on a system: one without certificates gets a bundle, and keeps our CA when its own tools come") {
    const testing::TestCa ours("Sallyport CA");
    const Root root;
    trust_on_system(ours.pem(), root.at(""));
    CHECK(root.text(kDebianBundle) == ours.pem());
    CHECK(root.text("/usr/local/share/ca-certificates/sallyport-ca.crt") == ours.pem());
    CHECK(trust_on_system(ours.pem(), root.at("")).empty());
}

TEST_CASE("trust on a system: a bundle keeps its mode, and what is no certificate changes nothing") {
    const testing::TestCa other("Other"), ours("Sallyport CA");
    const Root root;
    root.put(kDebianBundle, other.pem());
    fs::permissions(root.at(kDebianBundle), fs::perms(0640));
    CHECK_THROWS_AS(trust_on_system("not a certificate", root.at("")), StartupError);
    CHECK_THROWS_AS(trust_on_system("-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n", root.at("")),
                    StartupError);
    CHECK(root.text(kDebianBundle) == other.pem());
    trust_on_system(ours.pem(), root.at(""));
    CHECK(fs::status(root.at(kDebianBundle)).permissions() == fs::perms(0640));
}

TEST_CASE("trust on a system: where others than root can write, no link is followed and nothing changed") {
    const testing::TestCa other("Other"), ours("Sallyport CA");
    const Root root;
    make_debian(root, other.pem());
    root.put("/etc/shadow", "root:*:");
    root.put("/usr/lib/jvm/ours/lib/security/cacerts", "old store");
    root.put("/srv/theirs/lib/security/cacerts", "their store");
    root.make("/opt/java/theirs/lib/security");
    fs::create_symlink(root.at("/etc/shadow"), root.at("/opt/java/theirs/lib/security/cacerts"));
    // Root's own link leads there as well, by way of a link of theirs.
    fs::create_symlink("../../../opt/java/theirs/jdk", root.at("/usr/lib/jvm/default"));
    fs::create_symlink("../../../srv/theirs", root.at("/opt/java/theirs/jdk"));
    fs::permissions(root.at("/opt/java/theirs"), fs::perms(0777));
    trust_on_system(ours.pem(), root.at(""));
    CHECK(root.text("/etc/shadow") == "root:*:");
    CHECK(root.text("/srv/theirs/lib/security/cacerts") == "their store");
    CHECK(root.text("/usr/lib/jvm/ours/lib/security/cacerts") != "old store");
    CHECK(root.text(kDebianBundle) == other.pem() + ours.pem());
}
