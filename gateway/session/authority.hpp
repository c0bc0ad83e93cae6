#pragma once
// Whom a request is for: Host, an absolute-form target and the connection must name the same authority
// (RFC 9110, section 7.2; RFC 9112, section 3.2). Pure.

#include <string>
#include <string_view>

#include "gateway/base/result.hpp"
#include "gateway/policy/decide.hpp"
#include "gateway/wire/http_message.hpp"

namespace sallyport::session {

/// "host[:port]" in parts. Without a port, port_text is empty.
struct Authority {
    std::string host;  ///< canonical
    std::string port_text;
};

Result<Authority> parse_authority(std::string_view text);

/// The authority that the head names, and the origin-form of its target (written back into the head).
/// `scheme` is the connection's, "http" or "https". `fallback` stands for a missing Host in HTTP/1.0.
/// Errors are ErrorKind::malformed.
Result<Authority> take_authority(wire::RequestHead& head, std::string_view scheme, const std::string& fallback);

/// Whom a request to the explicit proxy is for: the target of CONNECT (RFC 9112, section 3.2.3), or that of a request
/// with an absolute http:// URL, whose Host take_authority() compares. That of CONNECT means nothing: it goes nowhere,
/// and Node sends the proxy's own. Errors are ErrorKind::malformed.
Result<policy::Destination> proxy_destination(const wire::RequestHead& head);

}  // namespace sallyport::session
