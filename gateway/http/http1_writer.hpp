#pragma once
// HTTP/1.1 messages as text, written from parsed heads and never from the bytes that came in. Pure.

#include <span>
#include <string>
#include <string_view>

#include "gateway/wire/http_message.hpp"

namespace sallyport::http {

/// The head as it goes to the origin: target, Host and the other fields are already those that were decided on, and
/// none of them concerns the client's connection but "TE: trailers"; `upgrade` becomes fields here. The body keeps its
/// framing, and the connection is kept alive.
std::string request_text(const wire::RequestHead& head);

/// How a response's body goes to this client: the origin's own framing where the client can read it, chunked for
/// a body that ends with the origin's connection.
wire::BodyFraming client_framing(const wire::ResponseHead& head, int client_minor_version);

/// The head as it goes to the client. `close` announces that no further request will be read.
std::string response_text(wire::ResponseHead& head, wire::BodyFraming framing, int client_minor_version, bool close);

/// Appends the pieces as one chunk (Framing::chunked) or as they are.
void append_body(std::string& out, wire::Framing framing, std::span<const std::string_view> pieces);
/// Appends the end of a chunked body with its trailers; nothing for other framings. Fields that must not come
/// after the head (RFC 9110, section 6.5.1) are dropped.
void append_body_end(std::string& out, wire::Framing framing, const wire::Fields& trailers);

}  // namespace sallyport::http
