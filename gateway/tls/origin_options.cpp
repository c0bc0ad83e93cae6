#include "gateway/tls/origin_options.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>

namespace sallyport::tls {
namespace {

std::string digest(const X509* certificate) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    X509_digest(certificate, EVP_sha256(), bytes.data(), &size);
    return {reinterpret_cast<const char*>(bytes.data()), size};
}

/// The key needs no part in it: the certificate names it.
std::string id_of(const OriginFiles& files, bool only_tls13) {
    std::string all(1, only_tls13 ? '3' : '2');
    for (const auto& authority : files.authorities) all += digest(authority.get());
    all += '|';
    if (files.identity) {
        all += digest(files.identity->certificate.get());
        for (const auto& issuer : files.identity->issuers) all += digest(issuer.get());
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
    unsigned size = 0;
    EVP_Digest(all.data(), all.size(), hash.data(), &size, EVP_sha256(), nullptr);
    const auto* hex = "0123456789abcdef";
    std::string id;
    for (unsigned i = 0; i < size; ++i) {
        id += hex[hash[i] >> 4];
        id += hex[hash[i] & 15];
    }
    return id;
}

/// OpenSSL would ask on the terminal.
int no_passphrase(char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
}

/// Tried once, so that what OpenSSL has against the pair (too short a key, two that do not belong together) is said
/// now.
Result<void> try_out(const ClientIdentity& identity) {
    const SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
    if (!context || SSL_CTX_use_certificate(context.get(), identity.certificate.get()) != 1)
        return Error{ErrorKind::tls, "the certificate cannot be used: " + openssl_error()};
    if (SSL_CTX_use_PrivateKey(context.get(), identity.key.get()) != 1)
        return Error{ErrorKind::tls, "the key is not that of the certificate (" + openssl_error() + ")"};
    return {};
}

}  // namespace

OriginOptions::OriginOptions(std::shared_ptr<const OriginFiles> from, bool tls13, std::string at)
    : files(std::move(from)), only_tls13(tls13), where(std::move(at)), id(id_of(*files, only_tls13)) {}

Result<std::vector<X509Ptr>> read_certificates(std::string_view pem) {
    const BioPtr text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    std::vector<X509Ptr> found;
    while (X509Ptr certificate{text ? PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr) : nullptr})
        found.push_back(std::move(certificate));
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const auto why = openssl_error();
    if (!at_end) return Error{ErrorKind::tls, "holds a certificate that cannot be read (" + why + ")"};
    if (found.empty()) return Error{ErrorKind::tls, "holds no certificate in PEM"};
    return found;
}

Result<ClientIdentity> read_identity(std::string_view certificate_pem, std::string_view key_pem) {
    auto certificates = read_certificates(certificate_pem);
    if (!certificates) return Error{ErrorKind::tls, "the client certificate's file " + certificates.error().detail};
    ClientIdentity identity;
    identity.certificate = std::move(certificates->front());
    certificates->erase(certificates->begin());
    identity.issuers = std::move(*certificates);
    bool encrypted = false;
    const BioPtr text(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
    identity.key.reset(text ? PEM_read_bio_PrivateKey(text.get(), nullptr, no_passphrase, &encrypted) : nullptr);
    const auto why = openssl_error();
    if (encrypted)
        return Error{ErrorKind::tls,
                     "the key has a passphrase, which nobody is asked for; `openssl pkey` takes it away"};
    if (!identity.key) return Error{ErrorKind::tls, "the key's file holds no private key in PEM (" + why + ")"};
    if (const auto good = try_out(identity); !good) return good.error();
    return identity;
}

}  // namespace sallyport::tls
