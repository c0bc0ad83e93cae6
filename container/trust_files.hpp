#pragma once
// What making a CA trusted needs, whether in a sandbox's mount namespace or on a system for good.

#include <string>

#include "container/trust_layout.hpp"

namespace sallyport::container {

/// The name of our files among a system's own, without an ending.
inline constexpr const char* kCaName = "sallyport-ca";

/// Those of the candidates that exist.
TrustListing look_up(const TrustCandidates& candidates);

void append_pem(std::string& bundle, const std::string& pem);

/// The name under which X509_LOOKUP_hash_dir(3) looks, without the number. Throws StartupError for what is no
/// certificate in PEM form.
std::string subject_hash(const std::string& ca_pem);

/// Makes `directory`/kCaName.pem be found by that name; true where it was not yet. Throws StartupError.
bool add_hash_link(const std::string& directory, const std::string& hash);

}  // namespace sallyport::container
