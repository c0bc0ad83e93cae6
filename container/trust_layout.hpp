#pragma once
// Pure: where a Linux system keeps its trusted certificates, and what of it must be replaced so that every program
// trusts one CA more. Knows paths and names; reads nothing.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport::container {

/// The files that the sandbox gets; they lie in a tmpfs of ours. The environment variables point to them.
inline constexpr const char* kGuardDirectory = "/run/sallyport";
inline constexpr const char* kCaFile = "/run/sallyport/ca.pem";                 ///< our CA alone
inline constexpr const char* kBundleFile = "/run/sallyport/ca-bundle.pem";      ///< what the machine trusts, and our CA
inline constexpr const char* kNodeExtraFile = "/run/sallyport/node-extra.pem";  ///< our CA and what the user had added
inline constexpr const char* kJavaStoreFile = "/run/sallyport/cacerts";  ///< the bundle for Java virtual machines

/// Paths to look for, most specific first; "*" stands for one path segment.
struct TrustCandidates {
    std::vector<std::string> bundles;             ///< PEM files with all certificates
    std::vector<std::string> hash_directories;    ///< X509_LOOKUP_hash_dir(3): HASH.0, HASH.1, ...
    std::vector<std::string> anchor_directories;  ///< from which the system's own tools rebuild the above
    std::vector<std::string> java_stores;
    std::vector<std::string> browser_directories;  ///< where Chromium and its kin look for policies, a level up
};

/// Where a browser finds our CA, below one of its directories. Its own list of certificates knows no system's.
inline constexpr const char* kBrowserPolicies = "/policies/managed";
/// That file's name and content: https://chromeenterprise.google/policies/#CACertificates
inline constexpr const char* kBrowserPolicyName = "sallyport-ca.json";
std::string browser_policy(const std::string& ca_pem);

/// Debian, Alpine, Arch, Fedora and openSUSE. `home` and `java_home` may be empty.
TrustCandidates trust_candidates(const std::string& home, const std::string& java_home);

/// Those candidates that exist, in the same order, as realpath(3) names them.
using TrustListing = TrustCandidates;

struct TrustPlan {
    struct Clone {
        std::string directory;
        bool hashed = false;  ///< needs HASH.N; otherwise the plain file is enough
    };
    struct Replacement {
        std::string path;
        bool in_clone = false;  ///< lies below a clone: written there, so that the system's tools can rename over it
    };
    std::string base_bundle;           ///< what the machine trusts; empty when it has no bundle
    std::vector<Clone> clones;         ///< parents before children
    std::vector<Replacement> bundles;  ///< each file once, whatever number of names it has
    std::vector<Replacement> java_stores;
    std::vector<std::string> browsers;  ///< directories to be cloned, and to get kBrowserPolicies
};

TrustPlan plan_trust(const TrustListing& existing);

/// Variables (KEY, VALUE) to set for COMMAND, given its environment ("KEY=VALUE").
std::vector<std::pair<std::string, std::string>> trust_environment(std::span<const std::string> environment);

/// The same for a system whose own bundle has our CA in it.
std::vector<std::pair<std::string, std::string>> system_trust_environment(const std::string& bundle);

/// The bundles that the user's own variables name: they stay trusted.
std::vector<std::string> own_bundles(std::span<const std::string> environment);
/// What the user's NODE_EXTRA_CA_CERTS names, or "".
std::string own_node_extra(std::span<const std::string> environment);

/// The certificates in a PEM text, without anything that stands between or beside them (a private key, comments).
std::string certificate_blocks(std::string_view pem);

/// The value of KEY in a list of "KEY=VALUE", or "".
std::string environment_value(std::span<const std::string> environment, const std::string& key);

}  // namespace sallyport::container
