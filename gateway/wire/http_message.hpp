#pragma once
// The head of an HTTP message as a value, in the terms of HTTP/1.1 (RFC 9112), whichever version it came by.

#include <cstdint>
#include <string>

#include "gateway/wire/http_fields.hpp"

namespace sallyport::wire {

/// How the end of a message's body is found (RFC 9112, section 6). What ends with its HTTP/2 stream and has no length
/// counts as chunked.
enum class Framing { none, length, chunked, until_close };

struct BodyFraming {
    Framing kind = Framing::none;
    std::uint64_t length = 0;  ///< bytes, for Framing::length
};

struct RequestHead {
    std::string method;
    std::string target;             ///< as it came; not yet normalised
    bool sensitive_target = false;  ///< holds a secret by now, as a Field may
    int minor_version = 1;
    Fields fields;
    BodyFraming body;
    bool keep_alive = true;  ///< the client will send further requests on this connection
    /// What protocol the connection (the stream) shall carry from the response on, in lower case; empty: none. The gate
    /// permits "websocket"; the fields that ask for it are the writer's.
    std::string upgrade;
    /// With `upgrade`: the subprotocols that the client offers, as it wrote them; secrets may stand in the field by
    /// now.
    std::string offered;
};

struct ResponseHead {
    unsigned status = 0;
    std::string reason;
    int minor_version = 1;
    Fields fields;
    BodyFraming body;
    bool keep_alive = true;

    bool is_interim() const { return status / 100 == 1; }
};

}  // namespace sallyport::wire
