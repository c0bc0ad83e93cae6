#include "container/java_trust_store.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace sallyport::container;

namespace {

std::string hex(const std::string& bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (const unsigned char byte : bytes) {
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return out;
}

}  // namespace

// The expected digests were computed apart from this program.
TEST_CASE("java trust store: an empty store is header and digest") {
    CHECK(hex(java_trust_store({})) == "feedfeed0000000200000000e2686e45fb43dfa4d992dd41ceb6b21c6330d792");
}

TEST_CASE("java trust store: one certificate, byte for byte") {
    const std::vector<std::string> certificates = {std::string("\x30\x00", 2)};
    CHECK(hex(java_trust_store(certificates)) ==
          "feedfeed0000000200000001"    // magic, version 2, one entry
          "00000002"                    // a trusted certificate
          "000b73616c6c79706f72742d30"  // "sallyport-0"
          "0000000000000000"            // date
          "0005582e353039"              // "X.509"
          "000000023000"                // DER
          "891d8985739a8ab6caedbd3ef6699de0c95a6a0c");
}

TEST_CASE("java trust store: certificates of a PEM text, in order, each once, and nothing else") {
    const std::string first = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";
    const std::string second = "-----BEGIN CERTIFICATE-----\nAwQF\n-----END CERTIFICATE-----\n";
    const std::string key = "-----BEGIN PRIVATE KEY-----\nBgcI\n-----END PRIVATE KEY-----\n";
    CHECK(certificates_of("# comment\n" + second + key + first + second) ==
          std::vector<std::string>{std::string("\3\4\5"), std::string("\0\1\2", 3)});
    CHECK(certificates_of("").empty());
    CHECK(certificates_of("-----BEGIN CERTIFICATE-----\n!!!\n").empty());
}
