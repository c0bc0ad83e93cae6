#include "container/java_trust_store.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <memory>
#include <set>
#include <stdexcept>

namespace sallyport::container {
namespace {

constexpr std::string_view kPassword = "changeit";
constexpr std::string_view kWhitener = "Mighty Aphrodite";
constexpr std::uint32_t kMagic = 0xfeedfeed;
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kTrustedCertificate = 2;

struct FreeOpenSsl {
    void operator()(BIO* bio) const { BIO_free(bio); }
    void operator()(char* memory) const { OPENSSL_free(memory); }
    void operator()(unsigned char* memory) const { OPENSSL_free(memory); }
};

/// Big-endian, as java.io.DataOutputStream writes.
void put_number(std::string& out, std::uint64_t value, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

void put_text(std::string& out, std::string_view ascii) {
    put_number(out, ascii.size(), 2);
    out += ascii;
}

std::string sha1(const std::string& data) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    if (EVP_Digest(data.data(), data.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
        throw std::runtime_error("OpenSSL offers no SHA-1, which the Java trust store needs");
    return {reinterpret_cast<const char*>(digest.data()), size};
}

}  // namespace

std::vector<std::string> certificates_of(std::string_view pem) {
    std::vector<std::string> certificates;
    std::set<std::string> seen;
    const std::unique_ptr<BIO, FreeOpenSsl> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    while (bio && PEM_read_bio(bio.get(), &name, &header, &data, &size) == 1) {
        const std::unique_ptr<char, FreeOpenSsl> name_owner(name), header_owner(header);
        const std::unique_ptr<unsigned char, FreeOpenSsl> data_owner(data);
        const std::string der(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
        if (std::string_view(name) == PEM_STRING_X509 && seen.insert(der).second) certificates.push_back(der);
    }
    return certificates;
}

std::string java_trust_store(std::span<const std::string> certificates) {
    std::string store;
    put_number(store, kMagic, 4);
    put_number(store, kVersion, 4);
    put_number(store, certificates.size(), 4);
    for (std::size_t i = 0; i < certificates.size(); ++i) {
        put_number(store, kTrustedCertificate, 4);
        put_text(store, "sallyport-" + std::to_string(i));
        put_number(store, 0, 8);  // creation date: none, so that equal input gives equal bytes
        put_text(store, "X.509");
        put_number(store, certificates[i].size(), 4);
        store += certificates[i];
    }
    std::string keyed;
    for (const char c : kPassword) {
        keyed += '\0';
        keyed += c;
    }
    return store + sha1(keyed.append(kWhitener).append(store));
}

}  // namespace sallyport::container
