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

/// The same as the status of a gRPC call, in a response that has nothing but a head: what came with another status than
/// 200 a gRPC client would not read. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
RefusalPage grpc_refusal(const Refusal&, bool tls);
/// Of a request; gRPC-Web is none, its clients read HTTP statuses.
bool is_grpc(const wire::Fields&);

/// True when the Accept field prefers JSON: application/json or any +json type, and no text/html.
bool accepts_json(const wire::Fields&);

/// The origin could not be reached, or spoke nonsense: 502 or 504, with the reason.
Refusal origin_failure(const Permit&, std::string method, const Error&);

}  // namespace sallyport::session
