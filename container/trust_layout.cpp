#include "container/trust_layout.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <sstream>

#include "container/files.hpp"

namespace sallyport::container {
namespace {

// Variables whose file *replaces* what the program would trust otherwise: they get the whole bundle.
constexpr std::array kBundleVariables = {
    "SSL_CERT_FILE",                       // OpenSSL, Go, rustls-native-certs, Ruby, PHP, .NET, uv
    "CURL_CA_BUNDLE",                      // curl
    "GIT_SSL_CAINFO",                      // git
    "REQUESTS_CA_BUNDLE",                  // Python requests, conda, poetry, Azure CLI
    "PIP_CERT",                            // pip
    "HTTPLIB2_CA_CERTS",                   // Python httplib2
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",  // gcloud
    "AWS_CA_BUNDLE",                       // AWS CLI and SDKs
    "CARGO_HTTP_CAINFO",                   // cargo
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",    // gRPC core
    "NIX_SSL_CERT_FILE",                   // Nix and programs built by it
    "BUNDLE_SSL_CA_CERT",                  // Bundler
    "PERL_LWP_SSL_CA_FILE",                // Perl LWP
    "HEX_CACERTS_PATH",                    // Hex (Elixir, Erlang)
};
constexpr const char* kNodeExtraVariable = "NODE_EXTRA_CA_CERTS";  // added to what Node.js has built in
constexpr const char* kDenoVariable = "DENO_CERT";                 // added to what Deno has built in

void keep_first_of_each(std::vector<std::string>& paths) {
    std::set<std::string> seen;
    std::erase_if(paths, [&](const std::string& path) { return !seen.insert(path).second; });
}

std::vector<std::string> java_candidates(const std::string& home, const std::string& java_home) {
    std::vector<std::string> homes = {"/usr/lib/jvm/*", "/opt/java/*", "/opt/hostedtoolcache/Java_*/*/*"};
    if (!java_home.empty()) homes.insert(homes.begin(), java_home);
    if (!home.empty())
        for (const auto* folder : {"/.sdkman/candidates/java/*", "/.jdks/*", "/.gradle/jdks/*",
                                   "/.asdf/installs/java/*", "/.local/share/mise/installs/java/*"})
            homes.push_back(home + folder);
    std::vector<std::string> stores = {"/etc/ssl/certs/java/cacerts", "/etc/pki/ca-trust/extracted/java/cacerts",
                                       "/etc/pki/java/cacerts", "/var/lib/ca-certificates/java-cacerts"};
    for (const auto& jvm : homes) {
        stores.push_back(jvm + "/lib/security/cacerts");
        stores.push_back(jvm + "/jre/lib/security/cacerts");
    }
    return stores;
}

}  // namespace

TrustCandidates trust_candidates(const std::string& home, const std::string& java_home) {
    return {
        .bundles = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                    "/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/tls/cert.pem", "/etc/ssl/ca-bundle.pem",
                    "/var/lib/ca-certificates/ca-bundle.pem", "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
                    "/etc/ssl/cert.pem", "/usr/lib/ssl/cert.pem"},
        .hash_directories = {"/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted/pem/directory-hash",
                             "/var/lib/ca-certificates/pem", "/var/lib/ca-certificates/openssl"},
        .anchor_directories = {"/usr/local/share/ca-certificates", "/etc/pki/ca-trust/source/anchors",
                               "/etc/pki/trust/anchors", "/etc/ca-certificates/trust-source/anchors"},
        .java_stores = java_candidates(home, java_home),
        .browser_directories = {"/etc/chromium", "/etc/opt/chrome", "/etc/opt/chrome_for_testing", "/etc/opt/edge"},
    };
}

TrustPlan plan_trust(const TrustListing& existing) {
    TrustPlan plan;
    if (!existing.bundles.empty()) plan.base_bundle = existing.bundles.front();

    for (const auto& directory : existing.hash_directories) plan.clones.push_back({directory, true});
    for (const auto& directory : existing.anchor_directories) plan.clones.push_back({directory, false});
    std::stable_sort(plan.clones.begin(), plan.clones.end(),
                     [](const auto& a, const auto& b) { return a.directory < b.directory; });
    const auto same = [](const auto& a, const auto& b) { return a.directory == b.directory; };
    plan.clones.erase(std::unique(plan.clones.begin(), plan.clones.end(), same), plan.clones.end());

    const auto replacements = [&](std::vector<std::string> paths) {
        keep_first_of_each(paths);
        std::vector<TrustPlan::Replacement> out;
        for (const auto& path : paths)
            out.push_back({path, std::any_of(plan.clones.begin(), plan.clones.end(),
                                             [&](const auto& clone) { return is_within(path, clone.directory); })});
        return out;
    };
    plan.bundles = replacements(existing.bundles);
    plan.java_stores = replacements(existing.java_stores);
    plan.browsers = existing.browser_directories;
    keep_first_of_each(plan.browsers);
    return plan;
}

std::string certificate_blocks(std::string_view pem) {
    constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
    constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
    std::string out;
    for (auto begin = pem.find(kBegin); begin != pem.npos; begin = pem.find(kBegin)) {
        pem.remove_prefix(begin);
        const auto end = pem.find(kEnd);
        if (end == pem.npos) break;
        out.append(pem.substr(0, end + kEnd.size())) += '\n';
        pem.remove_prefix(end + kEnd.size());
    }
    return out;
}

std::string browser_policy(const std::string& ca_pem) {
    // A list of certificates in DER, each in base64: a PEM text is that between its first and its last line.
    std::istringstream lines(certificate_blocks(ca_pem));
    std::string base64;
    for (std::string line; std::getline(lines, line);)
        if (!line.starts_with("-----")) base64 += line;
    return "{\"CACertificates\": [\"" + base64 + "\"]}\n";
}

std::string environment_value(std::span<const std::string> environment, const std::string& key) {
    for (const auto& entry : environment)
        if (entry.starts_with(key + "=")) return entry.substr(key.size() + 1);
    return {};
}

std::vector<std::pair<std::string, std::string>> trust_environment(std::span<const std::string> environment) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto* variable : kBundleVariables) out.emplace_back(variable, kBundleFile);
    out.emplace_back(kNodeExtraVariable, own_node_extra(environment).empty() ? kCaFile : kNodeExtraFile);
    out.emplace_back(kDenoVariable, environment_value(environment, kDenoVariable).empty() ? kCaFile : kBundleFile);
    return out;
}

std::vector<std::pair<std::string, std::string>> system_trust_environment(const std::string& bundle) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto* variable : kBundleVariables) out.emplace_back(variable, bundle);
    out.emplace_back(kNodeExtraVariable, bundle);
    out.emplace_back(kDenoVariable, bundle);
    return out;
}

std::vector<std::string> own_bundles(std::span<const std::string> environment) {
    std::vector<std::string> out;
    for (const auto* variable : kBundleVariables) out.push_back(environment_value(environment, variable));
    out.push_back(environment_value(environment, kDenoVariable));
    std::erase(out, "");
    keep_first_of_each(out);
    return out;
}

std::string own_node_extra(std::span<const std::string> environment) {
    return environment_value(environment, kNodeExtraVariable);
}

}  // namespace sallyport::container
