#pragma once
// The first message of TLS, read without touching it: which name, which protocols. Pure.
// RFC 8446 sections 4.1.2 and 5.1 (message, records), RFC 6066 section 3 (server_name), RFC 7301 (ALPN).

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sallyport::wire {

/// The most bytes, record headers included, that a hello may take. Large key shares need 2 KiB, so this is ample.
inline constexpr std::size_t kMaxClientHello = 16 * 1024;

struct ClientHello {
    std::optional<std::string> server_name;  ///< as sent: not validated beyond NUL, not canonical
    std::vector<std::string> alpn;           ///< in the client's order
    bool offers_tls13 = false;
    bool encrypted_client_hello = false;  ///< the extension is there; browsers also send it as a decoy
    std::size_t consumed = 0;             ///< bytes of the input up to the end of the hello's last record
};

/// A prefix of something that may become a hello.
struct NeedMore {};
/// The first bytes are no TLS record that could start a handshake (SSLv2 included).
struct NotTls {};
/// It is TLS, but no hello that has one meaning. `why` is a phrase for the audit log.
struct MalformedHello {
    std::string_view why;
};

using ClientHelloResult = std::variant<NeedMore, ClientHello, NotTls, MalformedHello>;

/// `bytes` is everything that the client has sent so far. Once the answer is not NeedMore, more bytes do not change it.
ClientHelloResult parse_client_hello(std::span<const std::uint8_t> bytes);

}  // namespace sallyport::wire
