#pragma once
// The handshake of WebSocket (RFC 6455, section 4) as far as one who stands between needs to know it.

#include <string>
#include <string_view>

#include "gateway/base/result.hpp"
#include "gateway/wire/http_message.hpp"

namespace sallyport::http {

/// A new Sec-WebSocket-Key, on behalf of a client that HTTP/2 spares it (RFC 8441, section 5).
std::string websocket_key();
/// The Sec-WebSocket-Accept that answers this Sec-WebSocket-Key.
std::string websocket_accept(std::string_view key);

/// Whether the response with status 101 does what `request` asked for, and its sender has understood that it does: one
/// that only looks so would make a tunnel of a connection whose other end goes on speaking HTTP. ErrorKind::malformed.
Result<void> check_switch(const wire::RequestHead& request, const wire::ResponseHead& response);

}  // namespace sallyport::http
