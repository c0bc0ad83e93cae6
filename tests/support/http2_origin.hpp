#pragma once
// An origin that speaks HTTP/2 and HTTP/1.1 (tests/clients/http2_origin.js). Its requests also have the version in
// which they came, and the number of the stream.

#include "tests/support/stand_in.hpp"

namespace sallyport::test {

class Http2Origin : public StandIn {
public:
    enum Versions { both, only_http1 };
    explicit Http2Origin(Versions versions = both)
        : StandIn(std::vector<std::string>{"node", SALLYPORT_SOURCE_DIR "/tests/clients/http2_origin.js",
                                           versions == both ? "both" : "http/1.1"}) {}
};

}  // namespace sallyport::test
