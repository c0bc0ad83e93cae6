#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "container/files.hpp"
#include "tests/support/guarded_run.hpp"
#include "tests/support/netns_fixture.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr const char* kSystemBundle = "/etc/ssl/certs/ca-certificates.crt";

GuardedOptions as(bool nobody) {
    GuardedOptions options;
    options.as_nobody = nobody;
    return options;
}

bool has_program(const char* name) {
    return std::system((std::string("command -v ") + name + " >/dev/null").c_str()) == 0;
}

}  // namespace

TEST_CASE("trust: every system bundle and the variables lead to our CA, and the machine's own stay trusted") {
    const auto system_bundle = container::read_file(kSystemBundle);
    for (const bool nobody : each_user()) {
        const auto outcome = run_script("cat $SSL_CERT_FILE; echo; cat $NODE_EXTRA_CA_CERTS", as(nobody));
        CHECK(outcome.says(std::string(kTestCa).substr(1)));
        CHECK(run_script("cat $NODE_EXTRA_CA_CERTS", as(nobody)).output == kTestCa);
        if (!system_bundle) continue;
        CHECK(outcome.says(*system_bundle));
        const auto replaced = run_script(std::string("cat ") + kSystemBundle, as(nobody)).output;
        CHECK(replaced == run_script("cat $SSL_CERT_FILE", as(nobody)).output);
        CHECK(container::read_file(kSystemBundle) == system_bundle);  // outside nothing has changed
    }
}

TEST_CASE("trust: what the user's own variables name stays trusted, but nothing else of those files is copied") {
    for (const bool nobody : each_user()) {
        const std::string file = "/tmp/sallyport-own-" + std::to_string(::getpid()) + ".pem";
        const std::string own = "-----BEGIN CERTIFICATE-----\nT1dO\n-----END CERTIFICATE-----\n";
        container::write_file(file, "private words\n" + own, 0644);
        auto options = as(nobody);
        options.environment.push_back("SSL_CERT_FILE=" + file);
        options.environment.push_back("NODE_EXTRA_CA_CERTS=" + file);
        const auto outcome = run_script("cat $SSL_CERT_FILE; echo; echo @@@; cat $NODE_EXTRA_CA_CERTS", options);
        ::unlink(file.c_str());
        const auto half = outcome.output.find("@@@");
        REQUIRE(half != outcome.output.npos);
        for (const auto& part : {outcome.output.substr(0, half), outcome.output.substr(half)}) {
            CHECK(part.find(own) != part.npos);
            CHECK(part.find(std::string(kTestCa).substr(1)) != part.npos);
            CHECK(part.find("private words") == part.npos);
        }
    }
}

TEST_CASE("trust: OpenSSL finds our CA by the directory alone") {
    if (!has_program("openssl") || !std::filesystem::is_directory("/etc/ssl/certs"))
        return skip("no openssl program or no /etc/ssl/certs");
    const auto verify = [](const std::string& directory, bool nobody) {
        return run_script(
            "openssl verify -no_check_time -no-CAfile -no-CAstore -CApath " + directory + " /run/sallyport/ca.pem",
            as(nobody));
    };
    for (const bool nobody : each_user()) {
        CHECK(verify("/etc/ssl/certs", nobody).says("/run/sallyport/ca.pem: OK"));
        CHECK_FALSE(verify("/usr", nobody).says(": OK"));
        // A certificate that was there is still found.
        CHECK(run_script("ls /etc/ssl/certs | wc -l", as(nobody)).output != "2\n");
    }
}

TEST_CASE("trust: every Java virtual machine finds our CA") {
    if (!has_program("keytool")) return skip("no keytool");
    for (const bool nobody : each_user()) {
        auto options = as(nobody);
        options.environment.push_back("HOME=/tmp");
        const auto outcome =
            run_script("keytool -list -cacerts -storepass changeit -J-Duser.language=en | tail -n +1", options);
        CHECK_MESSAGE(outcome.says("Keystore type: JKS"), outcome.output.substr(0, 300));
        const auto named = run_script(
            "keytool -list -v -cacerts -storepass changeit | grep -c 'Owner: CN=Sallyport test CA'", options);
        CHECK(named.output == "1\n");
    }
}

TEST_CASE("trust: a package manager inside rebuilds the bundle with our CA in it") {
    if (::geteuid() != 0 || !has_program("update-ca-certificates"))
        return skip("not root, or no update-ca-certificates");
    if (each_user().empty()) return;
    const auto outcome = run_script(
        "update-ca-certificates >/dev/null 2>&1 && openssl crl2pkcs7 -nocrl -certfile "
        "/etc/ssl/certs/ca-certificates.crt |"
        " openssl pkcs7 -print_certs -noout | grep -c 'subject=CN = Sallyport test CA'");
    CHECK_MESSAGE(outcome.output == "1\n", outcome.output);
    CHECK_FALSE(std::filesystem::exists("/usr/local/share/ca-certificates/sallyport-ca.crt"));
}
