#pragma once
// The gateway as a server of HTTP/2, and what it makes of what a client says. Behind it is an origin of HTTP/1.1 that
// answers every request with 200, but those below /hold not at all.

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/gateway_fixture.hpp"
#include "tests/support/http2_peer.hpp"
#include "tests/support/message_end.hpp"

namespace sallyport::test {

class Http2Server {
public:
    Http2Server();

    /// A connection on which nothing was said yet.
    Http2Peer connect();
    /// With the preface and these settings, the server's own read.
    Http2Peer start(const Http2Peer::Settings& settings = {});

    /// The pseudo fields of a request.
    Fields head(const std::string& method, const std::string& path, const Fields& more = {}) const;
    Fields get(const std::string& path = "/") const { return head("GET", path); }

    /// Whole requests that reached the origin below this path.
    std::size_t arrived(const std::string& path);

private:
    void serve(WirePeer& peer);

    std::mutex mutex_;
    std::vector<std::string> arrived_;
    std::vector<std::shared_ptr<WirePeer>> held_;
    WireOrigin origin_;
    GatewayFixture gateway_;
};

/// What came first of: "GOAWAY NAME" (and the connection was closed), "RST_STREAM NAME" (and the connection goes on),
/// "closed" without a word, the status of an answer; or, unless an `answer` is waited for, "ignored": PING was
/// answered.
std::string reaction(Http2Peer& peer, bool answer = false);

/// One thing that a client may say.
struct Http2Case {
    std::string situation;
    std::function<void(Http2Peer&)> say;
    std::vector<std::string> accepted;  ///< as reaction() writes it
};

/// Each on a connection of its own, with CHECKs.
void try_cases(Http2Server& server, const std::vector<Http2Case>& cases);

}  // namespace sallyport::test
