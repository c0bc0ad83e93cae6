#pragma once
// The fields of an X.509 certificate (RFC 5280), one function each. All return false when OpenSSL fails.

#include <ctime>
#include <string>
#include <string_view>

#include "gateway/tls/openssl_handles.hpp"

namespace sallyport::tls {

PkeyPtr make_p256_key();

/// Version 3, a random serial of 127 bits (RFC 5280 4.1.2.2 allows 20 octets), the times, the public key.
bool set_basics(X509*, EVP_PKEY* key, std::time_t not_before, std::time_t not_after);

bool set_common_name(X509_NAME*, std::string_view name);

/// `value` in the notation of x509v3_config(5). Never text from outside: it is a language.
bool add_extension(X509* certificate, X509* issuer, int nid, const char* value);

/// `host` (a DNS name or the text of an address) as the only subject alternative name. False also when it is
/// neither: what is not [a-z0-9._-] never gets into a certificate, wildcards included.
bool add_alternative_name(X509*, const std::string& host, bool critical);

std::time_t to_time(const ASN1_TIME*);

}  // namespace sallyport::tls
