#pragma once
// What the person behind a refused request reads. Pure.

#include <string>

#include "gateway/base/result.hpp"
#include "gateway/session/gate.hpp"

namespace sallyport::session {

/// A response: text, or JSON where the client accepts that. It quotes nothing of the request but method, host and path,
/// with everything outside printable ASCII escaped. `tls`: the request's.
struct RefusalPage {
    wire::ResponseHead head;
    std::string body;
};
RefusalPage refusal_page(const Refusal&, bool json, bool tls);

/// True when the Accept field prefers JSON: application/json or any +json type, and no text/html.
bool accepts_json(const wire::Fields&);

/// The origin could not be reached, or spoke nonsense: 502 or 504, with the reason.
Refusal origin_failure(const Permit&, std::string method, const Error&);

}  // namespace sallyport::session
