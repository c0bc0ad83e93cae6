#pragma once
// One request and its response, streamed both ways at once.
//
// Upload and download are two coroutines over the same two streams. Interim responses (100, 103) pass as they
// come, so a client that waits for 100-continue gets the origin's own. Each piece is written on before the next
// is read: the slower side sets the pace and one block is all that is held. When the response is complete and
// the request is not, the rest of the upload is abandoned and the client's connection cannot be used again.

#include <cstdint>
#include <optional>
#include <string>

#include "gateway/http/http1_reader.hpp"
#include "gateway/http/origin_pool.hpp"
#include "gateway/net/stream.hpp"

namespace sallyport::http {

struct ExchangeOutcome {
    unsigned status = 0;               ///< 0: no response head was passed on
    bool reached = false;              ///< a connection to the origin was there: part of the request may have gone
    bool client_failed = false;        ///< `error` is the client's doing, not the origin's
    std::uint64_t request_bytes = 0;   ///< of the bodies, as they were sent on
    std::uint64_t response_bytes = 0;
    bool client_reusable = false;
    bool origin_reusable = false;
    bool stale = false;   ///< the pooled connection had gone before it answered; the request may be sent again
    std::optional<Error> error;   ///< set when the response could not be passed on whole
};

class Exchange {
public:
    /// All references outlive run(). `head` is the permitted request, as it goes to the origin.
    Exchange(net::Stream& client, Http1Reader<true>& request, OriginConnection& origin, wire::RequestHead& head);

    boost::asio::awaitable<ExchangeOutcome> run();

private:
    net::Task<void> send_head();
    net::Task<void> upload();
    net::Task<void> download();
    net::Task<void> pass_response();
    net::Task<wire::ResponseHead> final_head();
    net::Task<void> pass_body(std::string& out, wire::Framing framing);

    net::Stream& client_;
    Http1Reader<true>& request_;
    OriginConnection& origin_;
    wire::RequestHead& head_;
    ExchangeOutcome outcome_;
    bool upload_done_;
    bool abandoned_ = false;   ///< the response is over: the rest of the request is of no interest
};

}  // namespace sallyport::http
