#pragma once
// What the person behind a refused request reads. Pure.

#include <string>

#include "gateway/base/result.hpp"
#include "gateway/session/gate.hpp"

namespace sallyport::session {

/// A whole HTTP/1.1 response: text, or JSON where the client accepts that. It quotes nothing of the request but
/// method, host and path, with everything outside printable ASCII escaped. `close` adds Connection: close.
/// `with_body` is false in answer to HEAD.
struct RefusalStyle {
    bool json = false;
    bool close = false;
    bool with_body = true;
    bool tls = true;
};
std::string refusal_response(const Refusal&, const RefusalStyle&);

/// True when the Accept field prefers JSON: application/json or any +json type, and no text/html.
bool accepts_json(const wire::Fields&);

/// The origin could not be reached, or spoke nonsense: 502 or 504, with the reason.
Refusal origin_failure(const Permit&, std::string method, const Error&);

}  // namespace sallyport::session
