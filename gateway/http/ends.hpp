#pragma once
// The two sides of an exchange, whatever version of HTTP each of them speaks.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gateway/net/stream.hpp"
#include "gateway/wire/http_message.hpp"

namespace sallyport::http {

using Pieces = std::span<const std::string_view>;

/// A body that comes from the peer, and a message that goes to it. One coroutine reads, one writes.
class End {
public:
    virtual ~End() = default;

    /// The next pieces of the peer's body, at least one byte; none at its end. Valid until the next call of this or of
    /// buffered_body(), which is also when the peer may send as much again.
    virtual net::Task<Pieces> read_body() = 0;
    /// What of it is at hand already, without waiting; may be nothing.
    virtual Result<Pieces> buffered_body() = 0;
    virtual bool body_done() const = 0;
    /// Of the peer's message, once body_done().
    virtual const wire::Fields& trailers() const = 0;

    /// Sends the head that was started last, if it has not gone yet, and these pieces behind it. `trailers`, when not
    /// null, end the message. Returns when they are on their way or in a buffer with a bound.
    virtual net::Task<void> write(Pieces, const wire::Fields* trailers) = 0;

    /// After a head that switches protocols, read or started: from now on the bytes are no HTTP's. read_body() gives
    /// them as they come and body_done() says that the peer has closed its side; write() with trailers closes ours.
    virtual void switch_protocols() = 0;

    /// Ends what waits now and whatever would wait later, until resume().
    virtual void interrupt() = 0;
    virtual void resume() = 0;
};

class ClientEnd : public End {
public:
    virtual net::Task<void> send_interim(wire::ResponseHead&) = 0;
    /// The head of the response, for the next write(). Rewritten to what this client gets.
    virtual void start(wire::ResponseHead&) = 0;
    /// What is left of the request will not be read: the response that follows says so where it must.
    virtual void abandon_request() = 0;
    /// Whether cut(REFUSED_STREAM) tells the client that nobody has acted on its request and that it may send it again.
    virtual bool knows_refused_streams() const = 0;
    /// The response ends here and is not whole; the client must not take it for that. `code`: RFC 9113, section 7.
    virtual void cut(std::uint32_t code) = 0;
    /// Ends when the client is gone.
    virtual net::Lifeline& lifeline() = 0;
};

/// Closed or reset on destruction unless finish() was called.
class OriginEnd : public End {
public:
    /// The head of the request, for the next write().
    virtual void start(const wire::RequestHead&) = 0;
    /// The next head of the response: interim ones, then the final one. ErrorKind::end_of_stream: closed before any of
    /// it.
    virtual net::Task<wire::ResponseHead> read_head() = 0;
    /// The request was surely not acted on, or the connection was an old one that has gone without a byte: after such a
    /// failure it may be sent again.
    virtual bool untouched() const = 0;
    /// With what code the origin reset the stream (RFC 9113, section 7), if it did; REFUSED_STREAM also for what it was
    /// not asked at all.
    virtual std::optional<std::uint32_t> reset_code() const = 0;
    /// What kind of address the origin has ("a private address"), if not a public one.
    virtual const std::optional<std::string>& private_address() const = 0;
    /// The exchange was whole: the connection is kept for others where it can be.
    virtual void finish() = 0;
};

}  // namespace sallyport::http
