#include "tests/support/test_ca.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <stdexcept>

#include "gateway/tls/certificate_parts.hpp"

namespace sallyport::testing {
namespace {

constexpr std::time_t kDay = 24 * 60 * 60;

void require(bool done, const char* what) {
    if (!done) throw std::runtime_error(std::string(what) + ": " + tls::openssl_error());
}

bool choose(const std::string* ours, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
            unsigned offered_size) {
    unsigned char* selected = nullptr;
    const bool found =
        SSL_select_next_proto(&selected, size, reinterpret_cast<const unsigned char*>(ours->data()),
                              static_cast<unsigned>(ours->size()), offered, offered_size) == OPENSSL_NPN_NEGOTIATED;
    *chosen = selected;
    return found;
}

}  // namespace

std::string to_pem(X509* certificate) {
    const tls::BioPtr text(BIO_new(BIO_s_mem()));
    require(PEM_write_bio_X509(text.get(), certificate) == 1, "encode a certificate");
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

std::string to_pem(EVP_PKEY* key, const std::string& passphrase) {
    const tls::BioPtr text(BIO_new(BIO_s_mem()));
    const auto* cipher = passphrase.empty() ? nullptr : EVP_aes_128_cbc();
    require(PEM_write_bio_PrivateKey(text.get(), key, cipher, reinterpret_cast<const unsigned char*>(passphrase.data()),
                                     static_cast<int>(passphrase.size()), nullptr, nullptr) == 1,
            "encode a key");
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

TestCa::TestCa(const std::string& name) : key_(tls::make_p256_key()), certificate_(X509_new()) {
    X509* const x = certificate_.get();
    const std::time_t now = std::time(nullptr);
    require(tls::set_basics(x, key_.get(), now - 400 * kDay, now + 400 * kDay) &&
                tls::set_common_name(X509_get_subject_name(x), name) &&
                X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
                tls::add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE") &&
                tls::add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                tls::add_extension(x, x, NID_subject_key_identifier, "hash") &&
                X509_sign(x, key_.get(), EVP_sha256()) > 0,
            "make a test authority");
    pem_ = to_pem(x);
}

Identity TestCa::issue(const std::string& host, std::time_t not_before, std::time_t not_after) const {
    Identity made{tls::make_p256_key(), tls::X509Ptr(X509_new())};
    X509* const x = made.certificate.get();
    require(tls::set_basics(x, made.key.get(), not_before, not_after) &&
                tls::set_common_name(X509_get_subject_name(x), "test-server.example") &&
                X509_set_issuer_name(x, X509_get_subject_name(certificate_.get())) == 1 &&
                tls::add_alternative_name(x, host, false) &&
                tls::add_extension(x, certificate_.get(), NID_authority_key_identifier, "keyid:always") &&
                X509_sign(x, key_.get(), EVP_sha256()) > 0,
            "make a test certificate");
    return made;
}

Identity TestCa::good(const std::string& host) const {
    const std::time_t now = std::time(nullptr);
    return issue(host, now - kDay, now + 30 * kDay);
}

Identity TestCa::expired(const std::string& host) const {
    const std::time_t now = std::time(nullptr);
    return issue(host, now - 30 * kDay, now - kDay);
}

Identity TestCa::not_yet_valid(const std::string& host) const {
    const std::time_t now = std::time(nullptr);
    return issue(host, now + kDay, now + 30 * kDay);
}

Identity TestCa::self_signed(const std::string& host) {
    Identity made{tls::make_p256_key(), tls::X509Ptr(X509_new())};
    X509* const x = made.certificate.get();
    const std::time_t now = std::time(nullptr);
    require(tls::set_basics(x, made.key.get(), now - kDay, now + 30 * kDay) &&
                tls::set_common_name(X509_get_subject_name(x), "a test server on its own") &&
                X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 && tls::add_alternative_name(x, host, false) &&
                X509_sign(x, made.key.get(), EVP_sha256()) > 0,
            "make a self-signed certificate");
    return made;
}

tls::SslCtxPtr make_server(const Identity& identity, const std::string& protocol) {
    tls::SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
    require(context && SSL_CTX_use_certificate(context.get(), identity.certificate.get()) == 1 &&
                SSL_CTX_use_PrivateKey(context.get(), identity.key.get()) == 1,
            "set up a test server");
    if (protocol.empty()) return context;
    static const int kSlot = SSL_CTX_get_ex_new_index(
        0, nullptr, nullptr, nullptr,
        [](void*, void* value, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<std::string*>(value); });
    auto* wire = new std::string(static_cast<char>(protocol.size()) + protocol);  // freed with the SSL_CTX
    SSL_CTX_set_ex_data(context.get(), kSlot, wire);
    SSL_CTX_set_alpn_select_cb(
        context.get(),
        [](SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered, unsigned offered_size,
           void* ours) {
            return choose(static_cast<const std::string*>(ours), chosen, size, offered, offered_size)
                       ? SSL_TLSEXT_ERR_OK
                       : SSL_TLSEXT_ERR_NOACK;
        },
        wire);
    return context;
}

TlsPair::TlsPair(tls::SslPtr client_ssl, tls::SslPtr server_ssl)
    : client(std::move(client_ssl)), server(std::move(server_ssl)) {
    BIO* client_bio = nullptr;
    BIO* server_bio = nullptr;
    require(BIO_new_bio_pair(&client_bio, 0, &server_bio, 0) == 1, "make a BIO pair");
    SSL_set_bio(client.get(), client_bio, client_bio);
    SSL_set_bio(server.get(), server_bio, server_bio);
    SSL_set_connect_state(client.get());
    SSL_set_accept_state(server.get());
}

bool TlsPair::handshake() {
    const auto advance = [this](SSL* ssl) {
        ERR_clear_error();
        const int n = SSL_do_handshake(ssl);
        const int wants = SSL_get_error(ssl, n);
        if (n == 1 || wants == SSL_ERROR_WANT_READ || wants == SSL_ERROR_WANT_WRITE) return true;
        error = tls::openssl_error();
        return false;
    };
    for (int round = 0; round < 20; ++round) {
        if (!advance(client.get()) || !advance(server.get())) return false;
        if (SSL_is_init_finished(client.get()) && SSL_is_init_finished(server.get())) break;
    }
    char byte = 'x';
    return SSL_write(server.get(), &byte, 1) == 1 && SSL_read(client.get(), &byte, 1) == 1;
}

}  // namespace sallyport::testing
