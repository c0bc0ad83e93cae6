#pragma once
// An origin that speaks HTTP/2 and HTTP/1.1 (tests/clients/http2_origin.js). Its requests also have the version in which
// they came, and the number of the stream.

#include "tests/support/stand_in.hpp"

namespace sallyport::test {

class Http2Origin : public StandIn {
public:
    Http2Origin() : StandIn(std::vector<std::string>{"node", SALLYPORT_SOURCE_DIR "/tests/clients/http2_origin.js"}) {}
};

}  // namespace sallyport::test
