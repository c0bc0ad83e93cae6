#pragma once
// Ownership of OpenSSL's objects, and its error queue as one phrase.

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace sallyport::tls {

template <auto kFree>
struct OpensslFree {
    template <class T>
    void operator()(T* object) const {
        kFree(object);
    }
};

using Asn1IntegerPtr = std::unique_ptr<ASN1_INTEGER, OpensslFree<ASN1_INTEGER_free>>;
using BignumPtr = std::unique_ptr<BIGNUM, OpensslFree<BN_free>>;
using BioPtr = std::unique_ptr<BIO, OpensslFree<BIO_free_all>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, OpensslFree<X509_EXTENSION_free>>;
using GeneralNamesPtr = std::unique_ptr<GENERAL_NAMES, OpensslFree<GENERAL_NAMES_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using SessionPtr = std::unique_ptr<SSL_SESSION, OpensslFree<SSL_SESSION_free>>;
using SslCtxPtr = std::unique_ptr<SSL_CTX, OpensslFree<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, OpensslFree<SSL_free>>;
using X509StorePtr = std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>>;
using X509Ptr = std::unique_ptr<X509, OpensslFree<X509_free>>;

/// What went wrong first, as OpenSSL names it; the thread's error queue is empty afterwards.
std::string openssl_error();

/// A value that lives in an SSL object and dies with it; one per type.
template <class T>
class SslSlot {
public:
    static bool set(SSL* ssl, std::unique_ptr<T> value) {
        if (SSL_set_ex_data(ssl, index(), value.get()) != 1) return false;
        value.release();  // freed by `free_value`
        return true;
    }
    static T* get(const SSL* ssl) { return static_cast<T*>(SSL_get_ex_data(ssl, index())); }

private:
    static int index() {
        static const int kIndex = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_value);
        return kIndex;
    }
    static void free_value(void*, void* value, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<T*>(value); }
};

}  // namespace sallyport::tls
