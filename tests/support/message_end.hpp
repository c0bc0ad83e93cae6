#pragma once
// One end of one exchange, client's or origin's, over either version: what a situation is written in that is to be the
// same for every pair of versions. Field names are in lower case; Host and :authority are both "host".

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tests/support/http2_peer.hpp"
#include "tests/support/wire_peer.hpp"

namespace sallyport::test {

struct MessageHead {
    std::string method;  ///< of a request
    std::string path;
    unsigned status = 0;  ///< of a response
    Fields fields;

    /// The value; "" when there is none, values joined with " | " when there are several.
    std::string field(std::string_view name) const;
    bool has(std::string_view name) const;
};

MessageHead request(std::string method, std::string path, Fields fields = {});
MessageHead response(unsigned status, Fields fields = {});

/// What was left of a message.
struct MessageRest {
    std::string body;
    Fields trailers;
    bool whole = false;        ///< false: it was cut
    std::uint32_t reason = 0;  ///< the code of RST_STREAM where there was one
};

class MessageEnd {
public:
    virtual ~MessageEnd() = default;

    /// `last`: nothing follows. Otherwise the body has the length that a Content-Length says, or an unknown one.
    virtual void send_head(const MessageHead& head, bool last) = 0;
    virtual void send_body(std::string_view piece) = 0;
    virtual void send_end(const Fields& trailers = {}) = 0;
    /// In the middle: RST_STREAM with that code, or the connection is closed.
    virtual void cut(std::uint32_t code = NGHTTP2_CANCEL) = 0;
    /// Sends a body until nothing was taken for so long, or `most` bytes of it: how many.
    virtual std::size_t send_while_taken(std::size_t most, int milliseconds) = 0;

    /// The next head, interim ones too. Throws std::runtime_error when the message is cut before.
    virtual MessageHead read_head() = 0;
    /// Fewer when the message ends before.
    virtual std::string read_body(std::size_t bytes) = 0;
    virtual MessageRest read_rest() = 0;
    /// Waits until the other side has given this exchange up.
    virtual bool is_cut() = 0;
    virtual bool silent_for(int milliseconds) = 0;
    /// Both messages have ended.
    virtual bool is_over() const = 0;
};
using MessageEndPtr = std::shared_ptr<MessageEnd>;

/// `authority` is what a client asks for.
MessageEndPtr http1_end(std::shared_ptr<WirePeer> wire, std::string authority = {});
MessageEndPtr http2_end(std::shared_ptr<Http2Peer> peer, std::uint32_t stream, std::string authority = {});

}  // namespace sallyport::test
