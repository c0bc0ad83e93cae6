#include <doctest/doctest.h>

#include "tests/support/policy_text.hpp"

using namespace sallyport::policy;

namespace {

std::vector<std::string> mistakes_of(std::string_view text) {
    const LoadResult result = load(text, "/etc/p.toml");
    std::vector<std::string> lines;
    if (const auto* mistakes = std::get_if<std::vector<Mistake>>(&result))
        for (const Mistake& mistake : *mistakes) lines.push_back(mistake.to_string());
    return lines;
}

void expect_mistake(const std::string& text, const std::string& where, const std::string& part) {
    CAPTURE(text);
    const auto mistakes = mistakes_of(text);
    REQUIRE(mistakes.size() == 1);
    CAPTURE(mistakes.front());
    CHECK(mistakes.front().starts_with("/etc/p.toml:" + where + ": "));
    CHECK(mistakes.front().find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("[[origin]]: every key arrives where it belongs, files are taken from the policy's folder") {
    const auto loaded = load(R"(
[[origin]]
host = ["API.corp.example", "10.0.0.0/8"]
ca = "corp.pem"
client_certificate = "/keys/client.pem"
client_key = "../client.key"
min_tls = "1.3"

[[origin]]
host = "old.example"
min_tls = "1.2"
)",
                             "/etc/sallyport/p.toml");
    const auto policy = std::get<std::shared_ptr<const Policy>>(loaded);
    REQUIRE(policy->origins().size() == 2);
    const auto& first = policy->origins()[0];
    CHECK(first.hosts.front().to_string() == "api.corp.example");
    CHECK(first.ca == "/etc/sallyport/corp.pem");
    CHECK(first.client_certificate == "/keys/client.pem");
    CHECK(first.client_key == "/etc/sallyport/../client.key");
    CHECK(first.min_tls == TlsVersion::v1_3);
    CHECK(first.where.line == 2);
    const auto& second = policy->origins()[1];
    CHECK_FALSE(second.ca);
    CHECK_FALSE(second.client_key);
    CHECK(second.min_tls == TlsVersion::v1_2);
}

TEST_CASE("[[origin]]: the narrowest pattern that matches decides alone; no other host gets anything") {
    const auto policy = policy_of(R"(
[[origin]]
host = "*.example"
ca = "wide.pem"

[[origin]]
host = "api.corp.example"
min_tls = "1.3"

[[origin]]
host = "*.corp.example"
ca = "corp.pem"

[[origin]]
host = "10.0.0.0/8"
ca = "net.pem"

[[origin]]
host = "10.1.0.0/16"
ca = "subnet.pem"
)");
    const auto ca_of = [&](const char* host) {
        const auto* origin = policy->origin_for(host);
        return origin ? origin->ca.value_or("(no ca)") : "(nothing)";
    };
    CHECK(ca_of("api.corp.example") == "(no ca)");
    CHECK(ca_of("git.corp.example") == "corp.pem");
    CHECK(ca_of("corp.example") == "wide.pem");
    CHECK(ca_of("10.2.3.4") == "net.pem");
    CHECK(ca_of("10.1.3.4") == "subnet.pem");
    CHECK(ca_of("example") == "(nothing)");
    CHECK(ca_of("api.corp.example.org") == "(nothing)");
    CHECK(ca_of("192.0.2.1") == "(nothing)");
}

TEST_CASE("[[origin]]: mistakes have a place and a remedy") {
    expect_mistake("[[origin]]\nhost = \"a.test\"\nca_file = \"x\"\nca = \"y\"\n", "3:1", "unknown key \"ca_file\"");
    expect_mistake("[[origin]]\nca = \"x\"\n", "1:1", "needs host");
    expect_mistake("[[origin]]\nhost = \"a.test\"\n", "1:1", "needs ca");
    expect_mistake("[[origin]]\nhost = \"a.test\"\nca = \"\"\n", "3:6", "path of a file");
    expect_mistake("[[origin]]\nhost = \"a.test\"\nclient_key = \"k\"\n", "1:1", "go together");
    expect_mistake("[[origin]]\nhost = \"a.test\"\nclient_certificate = \"c\"\n", "1:1", "go together");
    expect_mistake("[[origin]]\nhost = \"a.test\"\nmin_tls = \"1.1\"\n", "3:11", "\"1.2\" or \"1.3\"");
    expect_mistake("[[origin]]\nhost = \"a.test\"\nmin_tls = 1.3\n", "3:11", "min_tls is a string");
    expect_mistake("[origin]\nhost = \"a.test\"\nca = \"x\"\n", "1:1", "double brackets");
    expect_mistake(
        "[[origin]]\nhost = \"a.test\"\nca = \"x\"\n[[origin]]\nhost = [\"b.test\", \"a.test\"]\nca = \"x\"\n", "4:1",
        "already, at /etc/p.toml:1");
}

TEST_CASE("[[origin]]: it is the host that is dialled; one whose route leads elsewhere is a mistake that names that") {
    const std::string route = "[[route]]\nhost = \"api.test\"\nto = \"https://inner.test\"\n";
    CHECK(mistakes_of(route + "[[origin]]\nhost = \"inner.test\"\nca = \"x\"\n").empty());
    expect_mistake(route + "[[origin]]\nhost = \"api.test\"\nca = \"x\"\n", "4:1", "to \"inner.test\"");
    // Another route leads there.
    CHECK(mistakes_of(route + "[[route]]\nhost = \"other.test\"\nto = \"https://api.test\"\n"
                              "[[origin]]\nhost = \"api.test\"\nca = \"x\"\n")
              .empty());
}
