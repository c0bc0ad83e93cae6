#pragma once
// Which protocol a client speaks, from the first bytes that it sends. Pure.

#include <cstddef>
#include <cstdint>
#include <span>

namespace sallyport::wire {

enum class Protocol {
    need_more,      ///< could still become one of the next three
    tls,            ///< a handshake record: parse_client_hello says more
    http1,          ///< a whole HTTP/1.x request line
    http2_preface,  ///< the 24 bytes that open HTTP/2 without TLS (RFC 9113, section 3.4)
    other,
};

/// The longest request line that is waited for. Longer ones are `other`.
inline constexpr std::size_t kMaxRequestLine = 16 * 1024;

/// `prefix` is everything that the client has sent so far. Any answer but need_more stays, whatever follows.
/// HTTP/1 needs the whole "method SP target SP HTTP/1." (RFC 9112, section 3): "SSH-2.0-OpenSSH_9.2 Debian" and
/// "EHLO mail.example" begin like one too. A client that waits for the server leaves this at need_more for ever:
/// telling that apart takes a clock, which is the caller's.
Protocol detect(std::span<const std::uint8_t> prefix);

}  // namespace sallyport::wire
