#include "container/trust_layout.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace sallyport::container;

namespace {

const std::string kCertificate = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n";

std::string value(const std::vector<std::pair<std::string, std::string>>& variables, const std::string& key) {
    for (const auto& [name, text] : variables)
        if (name == key) return text;
    return "(unset)";
}

}  // namespace

TEST_CASE("trust layout: Debian's bundle lies in the cloned directory and is not mounted over") {
    const auto plan =
        plan_trust({.bundles = {"/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt"},
                    .hash_directories = {"/etc/ssl/certs"},
                    .anchor_directories = {"/usr/local/share/ca-certificates"},
                    .java_stores = {"/etc/ssl/certs/java/cacerts", "/etc/ssl/certs/java/cacerts"},
                    .browser_directories = {}});
    CHECK(plan.base_bundle == "/etc/ssl/certs/ca-certificates.crt");
    REQUIRE(plan.bundles.size() == 1);
    CHECK(plan.bundles[0].in_clone);
    REQUIRE(plan.java_stores.size() == 1);
    CHECK(plan.java_stores[0].in_clone);
    REQUIRE(plan.clones.size() == 2);
    CHECK(plan.clones[0].hashed);
    CHECK_FALSE(plan.clones[1].hashed);
}

TEST_CASE("trust layout: Fedora's names for one bundle are replaced once, by a mount") {
    const std::string bundle = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
    const auto plan = plan_trust({.bundles = {bundle, bundle, bundle, "/etc/ssl/cert.pem"},
                                  .hash_directories = {"/etc/pki/tls/certs"},
                                  .anchor_directories = {},
                                  .java_stores = {},
                                  .browser_directories = {}});
    CHECK(plan.base_bundle == bundle);
    REQUIRE(plan.bundles.size() == 2);
    CHECK(plan.bundles[0].path == bundle);
    CHECK_FALSE(plan.bundles[0].in_clone);
    CHECK(plan.java_stores.empty());
}

TEST_CASE("trust layout: a directory with a similar name is no clone") {
    const auto plan = plan_trust({.bundles = {"/etc/ssl/certs-old/bundle.pem"},
                                  .hash_directories = {"/etc/ssl/certs"},
                                  .anchor_directories = {},
                                  .java_stores = {},
                                  .browser_directories = {}});
    CHECK_FALSE(plan.bundles.at(0).in_clone);
}

TEST_CASE("trust layout: a clone of a parent comes before that of its child, and each once") {
    const auto plan = plan_trust({.bundles = {},
                                  .hash_directories = {"/etc/ssl/certs/sub", "/etc/ssl/certs", "/etc/ssl/certs"},
                                  .anchor_directories = {"/etc/ssl/certs"},
                                  .java_stores = {},
                                  .browser_directories = {}});
    REQUIRE(plan.clones.size() == 2);
    CHECK(plan.clones[0].directory == "/etc/ssl/certs");
    CHECK(plan.clones[0].hashed);
    CHECK(plan.clones[1].directory == "/etc/ssl/certs/sub");
    CHECK(plan.base_bundle.empty());
}

TEST_CASE("trust layout: without HOME and JAVA_HOME no candidate starts at the root by accident") {
    for (const auto& path : trust_candidates("", "").java_stores)
        CHECK_MESSAGE((path.starts_with("/etc/") || path.starts_with("/usr/") || path.starts_with("/opt/") ||
                       path.starts_with("/var/")),
                      path);
    const auto stores = trust_candidates("/home/u", "/jdk").java_stores;
    CHECK(std::count(stores.begin(), stores.end(), "/jdk/lib/security/cacerts") == 1);
    CHECK(std::count(stores.begin(), stores.end(), "/home/u/.sdkman/candidates/java/*/lib/security/cacerts") == 1);
}

TEST_CASE("trust layout: a browser gets certificates as its policy wants them, and no text beside them") {
    CHECK(browser_policy("CA of mine\n" + kCertificate) == "{\"CACertificates\": [\"TUlJ\"]}\n");
    const auto plan = plan_trust({.bundles = {},
                                  .hash_directories = {},
                                  .anchor_directories = {},
                                  .java_stores = {},
                                  .browser_directories = {"/etc/chromium", "/etc/chromium", "/etc/opt/chrome"}});
    CHECK(plan.browsers == std::vector<std::string>{"/etc/chromium", "/etc/opt/chrome"});
    CHECK(plan.clones.empty());
}

TEST_CASE("trust environment: replacing variables get the bundle, adding ones our CA") {
    const auto variables = trust_environment({});
    CHECK(value(variables, "SSL_CERT_FILE") == kBundleFile);
    CHECK(value(variables, "REQUESTS_CA_BUNDLE") == kBundleFile);
    CHECK(value(variables, "NODE_EXTRA_CA_CERTS") == kCaFile);
    CHECK(value(variables, "DENO_CERT") == kCaFile);
    CHECK(value(variables, "SSL_CERT_DIR") == "(unset)");
    CHECK(value(variables, "HTTPS_PROXY") == "(unset)");
}

TEST_CASE("trust environment: what the user had named is kept, each file once") {
    const std::vector<std::string> environment = {"SSL_CERT_FILE=/corp.pem", "PIP_CERT=/corp.pem",
                                                  "CURL_CA_BUNDLE=", "NODE_EXTRA_CA_CERTS=/extra.pem",
                                                  "XSSL_CERT_FILE=/other.pem"};
    CHECK(own_bundles(environment) == std::vector<std::string>{"/corp.pem"});
    CHECK(own_node_extra(environment) == "/extra.pem");
    CHECK(value(trust_environment(environment), "NODE_EXTRA_CA_CERTS") == kNodeExtraFile);
    CHECK(environment_value(environment, "SSL_CERT") == "");
}

TEST_CASE("certificate blocks: only whole certificates are taken from a file") {
    CHECK(certificate_blocks("text\n" + kCertificate +
                             "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n" + kCertificate) ==
          kCertificate + kCertificate);
    CHECK(certificate_blocks("-----BEGIN CERTIFICATE-----\nTUlJ").empty());
    CHECK(certificate_blocks("-----END CERTIFICATE-----").empty());
    CHECK(certificate_blocks("").empty());
}
