#pragma once
// Heads of HTTP/2 messages, from and to lists of fields (RFC 9113, sections 8.2 and 8.3). Pure.
//
// What nghttp2 checks already is not checked again: order, letter case and presence of pseudo-header fields,
// connection-specific fields, Content-Length against the bytes that came.

#include <string>
#include <string_view>

#include "gateway/base/result.hpp"
#include "gateway/wire/http_message.hpp"

namespace sallyport::wire {

/// `fields`: as they came, pseudo-header fields first. `ended`: END_STREAM came with them. `scheme`: the connection's.
/// :authority becomes Host, the crumbs of Cookie become one field, and an extended CONNECT (RFC 8441) a GET that asks
/// for `upgrade`. Errors: malformed.
Result<RequestHead> request_from_http2(Fields fields, bool ended, std::string_view scheme);
/// `no_body`: it answers HEAD.
Result<ResponseHead> response_from_http2(Fields fields, bool ended, bool no_body);

/// The fields to send. Those that concern one connection must be gone already, but for "TE: trailers".
Fields http2_fields(const RequestHead&, std::string_view scheme);
/// Removes those itself. A switch of protocols becomes the 200 that an extended CONNECT gets.
Fields http2_fields(ResponseHead&);
/// Those of the trailers that may come after the body (RFC 9110, section 6.5.1).
Fields http2_trailers(const Fields&);

}  // namespace sallyport::wire
