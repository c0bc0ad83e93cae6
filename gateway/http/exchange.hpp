#pragma once
// One request and its response, streamed both ways at once.
//
// Upload and download are two coroutines over the same two ends. Interim responses (100, 103) pass as they come, so a
// client that waits for 100-continue gets the origin's own. Each piece is written on before the next is read: the
// slower side sets the pace, and one block (HTTP/1.1) or one window (HTTP/2) is all that is held. When the response is
// complete and the request is not, the rest of the upload is abandoned.
//
// When the response switches protocols (WebSocket), as the request asked and by its handshake, a tunnel follows: bytes
// both ways, looking at none of them, until both sides have closed.

#include <chrono>
#include <cstdint>
#include <optional>

#include "gateway/http/ends.hpp"

namespace sallyport::http {

struct TunnelLimits {
    std::chrono::seconds idle{24 * 3600};  ///< without a byte in either direction; dead peers end by TCP's keep-alive
    std::chrono::seconds closing{30};      ///< the same, once one side has closed
};

struct ExchangeOutcome {
    unsigned status = 0;              ///< 0: no response head was passed on
    bool reached = false;             ///< a connection to the origin was there: part of the request may have gone
    bool client_failed = false;       ///< `error` is the client's doing, not the origin's
    std::uint64_t request_bytes = 0;  ///< of the bodies, as they were sent on
    std::uint64_t response_bytes = 0;
    bool whole = false;  ///< both messages went through to their ends
    bool stale = false;  ///< the origin has not acted on it; a request without a body may be sent again
    std::uint32_t reset_code =
        2;  ///< what a cut response is cut with (RFC 9113, section 7): the origin's own, or INTERNAL_ERROR
    std::optional<Error> error;  ///< set when the response could not be passed on whole
};

class Exchange {
public:
    /// All references outlive run(). `head` is the permitted request, as it goes to the origin.
    Exchange(ClientEnd& client, OriginEnd& origin, const wire::RequestHead& head, TunnelLimits limits);

    boost::asio::awaitable<ExchangeOutcome> run();

private:
    net::Task<void> upload();
    net::Task<void> download();
    net::Task<void> pass_response();
    net::Task<wire::ResponseHead> final_head();
    net::Task<void> tunnel();
    net::Task<void> tunnel_side(End& from, End& to, std::uint64_t& count);
    net::Task<void> pass(End& from, End& to, std::uint64_t& count);

    ClientEnd& client_;
    OriginEnd& origin_;
    const wire::RequestHead& head_;
    const TunnelLimits limits_;
    ExchangeOutcome outcome_;
    bool upload_done_ = false;
    bool abandoned_ = false;  ///< the response is over: the rest of the request is of no interest
};

}  // namespace sallyport::http
