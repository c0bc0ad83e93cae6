#include "gateway/tls/certificate_parts.hpp"

#include <openssl/bn.h>
#include <openssl/ec.h>

#include <algorithm>

#include "gateway/base/endpoint.hpp"

namespace sallyport::tls {
namespace {

bool is_dns_name(std::string_view name) {
    if (name.empty() || name.size() > 253) return false;
    std::size_t label = 0;
    for (const char c : name) {
        if (c == '.') {
            if (label == 0) return false;
            label = 0;
            continue;
        }
        const bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!allowed || ++label > 63) return false;
    }
    return label > 0;
}

bool set_general_name(GENERAL_NAME* name, const std::string& host) {
    const auto address = IpAddress::parse(host);
    if (!address && !is_dns_name(host)) return false;
    ASN1_STRING* value = ASN1_STRING_type_new(address ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
    if (!value) return false;
    GENERAL_NAME_set0_value(name, address ? GEN_IPADD : GEN_DNS, value);
    if (address) return ASN1_STRING_set(value, address->bytes().data(), address->bit_length() / 8) == 1;
    return ASN1_STRING_set(value, host.data(), static_cast<int>(host.size())) == 1;
}

}  // namespace

PkeyPtr make_p256_key() { return PkeyPtr(EVP_EC_gen("P-256")); }

bool set_basics(X509* certificate, EVP_PKEY* key, std::time_t not_before, std::time_t not_after) {
    const BignumPtr serial(BN_new());
    return serial && BN_rand(serial.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
           BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr &&
           X509_set_version(certificate, X509_VERSION_3) == 1 &&
           ASN1_TIME_adj(X509_getm_notBefore(certificate), not_before, 0, 0) != nullptr &&
           ASN1_TIME_adj(X509_getm_notAfter(certificate), not_after, 0, 0) != nullptr &&
           X509_set_pubkey(certificate, key) == 1;
}

bool set_common_name(X509_NAME* name, std::string_view text) {
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()), -1, 0) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool add_alternative_name(X509* certificate, const std::string& host, bool critical) {
    const GeneralNamesPtr names(GENERAL_NAMES_new());
    if (!names) return false;
    GENERAL_NAME* name = GENERAL_NAME_new();
    if (!name || sk_GENERAL_NAME_push(names.get(), name) == 0) {
        GENERAL_NAME_free(name);
        return false;
    }
    return set_general_name(name, host) &&
           X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), critical ? 1 : 0, 0) == 1;
}

std::time_t to_time(const ASN1_TIME* time) {
    std::tm parts{};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
}

}  // namespace sallyport::tls
