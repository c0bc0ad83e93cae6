#pragma once
// What [[origin]] says of TLS to a host, as values: authorities of its own, what we show it, the oldest version.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.hpp"
#include "gateway/tls/openssl_handles.hpp"

namespace sallyport::tls {

/// What a client shows that is asked for a certificate.
struct ClientIdentity {
    X509Ptr certificate;
    std::vector<X509Ptr> issuers;  ///< sent with it
    PkeyPtr key;
};

/// What the files of an [[origin]] hold.
struct OriginFiles {
    std::vector<X509Ptr> authorities;
    std::optional<ClientIdentity> identity;
};

/// Immutable once made; for all threads.
struct OriginOptions {
    OriginOptions(std::shared_ptr<const OriginFiles> files, bool only_tls13, std::string where);

    const std::shared_ptr<const OriginFiles> files;  ///< never null
    const bool only_tls13;
    const std::string where;  ///< "file:line", for messages
    /// Equal for options that make the same connections, whatever their lines and files are called: what was
    /// connected, or what session was begun, under one id is never used under another.
    const std::string id;
};

/// All certificates of a PEM text; an error is a phrase that follows the name of a file.
Result<std::vector<X509Ptr>> read_certificates(std::string_view pem);
/// The certificate, those of its issuers that follow it, and its key. The error says which of the two is wrong.
Result<ClientIdentity> read_identity(std::string_view certificate_pem, std::string_view key_pem);

}  // namespace sallyport::tls
