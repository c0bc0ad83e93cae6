#pragma once
// A client, the gateway and an origin for one pair of HTTP versions, all under TLS, the test in the middle: it says
// what each end does, one after the other, in one thread.

#include <doctest/doctest.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/gateway_fixture.hpp"
#include "tests/support/http2_peer.hpp"
#include "tests/support/message_end.hpp"

namespace sallyport::test {

enum class Version { http1, http2 };

/// Of the client and of the origin.
struct Versions {
    Version client;
    Version origin;
};

/// An origin under TLS whose connections the test takes up when it wants to; handshakes are done at once.
class WaitingOrigin {
public:
    explicit WaitingOrigin(Version version);
    std::uint16_t port() const { return listener_.port(); }
    int connections() const { return listener_.connections(); }

    /// The next request of all connections. Throws std::runtime_error when none comes for 10 seconds.
    MessageEndPtr next_request();
    /// Null: none came.
    MessageEndPtr request_within(int milliseconds);
    bool nothing_for(int milliseconds) { return !request_within(milliseconds); }
    /// Of the connection that the last request came on.
    Http2Peer& http2() { return *last_http2_; }
    WirePeer& http1() { return *last_http1_; }
    Http2Peer::Settings settings;  ///< for connections from now on

private:
    struct Http1Connection {
        std::shared_ptr<WirePeer> wire;
        std::weak_ptr<MessageEnd> exchange;  ///< the last one
    };
    MessageEndPtr request_that_came();
    void take_up(int milliseconds);

    const Version version_;
    std::mutex mutex_;
    std::condition_variable came_;
    std::deque<WirePeer> waiting_;
    std::vector<Http1Connection> http1_;
    std::vector<std::shared_ptr<Http2Peer>> http2_;
    std::shared_ptr<WirePeer> last_http1_;
    std::shared_ptr<Http2Peer> last_http2_;
    WireOrigin listener_;  ///< last: its thread uses the others
};

/// "origin.test" behind a gateway that allows it, with what `policy` says besides.
class ProtocolPair {
public:
    static inline const std::string kName = "origin.test";

    explicit ProtocolPair(Versions versions, const std::string& policy = "", session::TimeLimits limits = {});

    /// A new exchange, on the client's one connection; over HTTP/1.1 the one before has to be over. For `authority`
    /// where that is not the origin's own.
    MessageEndPtr client(const std::string& authority = {});
    MessageEndPtr origin() { return origin_.next_request(); }
    /// Both ends of one whose head has reached the origin.
    struct Ends {
        MessageEndPtr client, origin;
    };
    Ends exchange(const MessageHead& request, bool ended);
    WaitingOrigin& origins() { return origin_; }
    /// The client's connection, over HTTP/2. Made when first asked for, with these settings.
    Http2Peer& http2_client(const Http2Peer::Settings& settings = {});
    /// Of the client, over HTTP/1.1.
    WirePeer& http1_client();
    /// The client goes away with all its exchanges; the next one has a connection of its own.
    void leave();
    GatewayFixture& gateway() { return gateway_; }
    const std::string& policy() const { return policy_; }
    /// What the client writes for Host.
    std::string authority() const;

private:
    const Versions versions_;
    WaitingOrigin origin_;
    const std::string policy_;
    GatewayFixture gateway_;
    std::shared_ptr<WirePeer> http1_;
    std::shared_ptr<Http2Peer> http2_;
};

inline constexpr Versions kHttp1ToHttp1{Version::http1, Version::http1};
inline constexpr Versions kHttp1ToHttp2{Version::http1, Version::http2};
inline constexpr Versions kHttp2ToHttp1{Version::http2, Version::http1};
inline constexpr Versions kHttp2ToHttp2{Version::http2, Version::http2};

}  // namespace sallyport::test

// A row of the table: run for each pair, as a test case of its own, "... [h2-h1]" for a client of HTTP/2 and an origin
// of HTTP/1.1.
#define SITUATION(name) SITUATION_AS(name, DOCTEST_ANONYMOUS(situation_))
#define SITUATION_AS(name, function)                                         \
    static void function(sallyport::test::Versions versions);                \
    TEST_CASE(name " [h1-h1]") { function(sallyport::test::kHttp1ToHttp1); } \
    TEST_CASE(name " [h1-h2]") { function(sallyport::test::kHttp1ToHttp2); } \
    TEST_CASE(name " [h2-h1]") { function(sallyport::test::kHttp2ToHttp1); } \
    TEST_CASE(name " [h2-h2]") { function(sallyport::test::kHttp2ToHttp2); } \
    static void function([[maybe_unused]] sallyport::test::Versions versions)
