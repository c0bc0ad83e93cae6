#pragma once
// A trust store for Java virtual machines in the JKS format, which every JVM since 1.2 reads, whatever its default.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::container {

/// DER certificates of a PEM text, in order, each once. Blocks of other kinds are left out.
std::vector<std::string> certificates_of(std::string_view pem);

/// Pure: the file's bytes, as sun.security.provider.JavaKeyStore writes it: entries of trusted certificates named
/// "sallyport-0", "sallyport-1", ..., then SHA-1 over password, "Mighty Aphrodite" and the data. Password: "changeit".
std::string java_trust_store(std::span<const std::string> certificates);

}  // namespace sallyport::container
