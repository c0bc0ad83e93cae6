#pragma once
// That a response can be read by who has to take secrets out of it. Pure.

#include <optional>

#include "gateway/base/result.hpp"
#include "gateway/http/content_coding.hpp"
#include "gateway/wire/http_message.hpp"

namespace sallyport::session {

/// Asks the origin for the whole of it (a part of a value is none), in codings that we know, and for no compression
/// within: of gRPC's and Connect's messages, of WebSocket's.
void ask_for_readable(wire::Fields& request);

/// The coding of its body; nullopt: none. ErrorKind::malformed for one that we cannot read, several included.
Result<std::optional<http::Coding>> readable_coding(const wire::Fields& response);

/// Removes what was computed from the body before it was rewritten (RFC 9530, and its forerunners).
void remove_digests(wire::Fields&);

}  // namespace sallyport::session
