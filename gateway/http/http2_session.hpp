#pragma once
// One HTTP/2 connection as frames in and frames out, over nghttp2 (RFC 9113). No sockets.
//
//   bytes -> receive() -> Http2Stream::in, heads, trailers     what came
//   Http2Stream::out -> next_output() -> bytes                 what goes
//
// Credit goes back to the peer only by consume(), for what was passed on: the most that a peer can make us hold is its
// window. A stream stays here until both sides have ended it or one has reset it; who uses it shares it, and may
// outlive the session. No call happens inside another one: `changed` must only wake somebody.

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "gateway/base/result.hpp"
#include "gateway/wire/http_fields.hpp"

namespace sallyport::http {

struct Http2Stream {
    /// Fields in their order, pseudo-header fields first.
    struct Head {
        wire::Fields fields;
        bool ended = false;      ///< END_STREAM came with it
        bool too_large = false;  ///< fields are missing, as they went beyond our bounds
    };

    std::int32_t id = 0;            ///< 0: a request that was not sent yet
    std::function<void()> changed;  ///< called after any change; may be empty

    std::deque<Head> heads;      ///< a request's one; of a response the interim ones and the final one
    std::deque<std::string> in;  ///< blocks of the body that nobody has taken yet
    wire::Fields trailers;
    bool final_head_came = false;
    bool in_ended = false;

    std::string out;         ///< of the body, not framed yet
    bool out_ended = false;  ///< nothing comes behind `out` but the trailers
    wire::Fields out_trailers;
    bool out_sent = false;  ///< END_STREAM has been framed

    bool given_up = false;  ///< whoever used it has gone: what still comes is dropped
    bool reset_sent = false;
    bool closed = false;
    std::optional<Error> failure;             ///< it ended before its time
    std::optional<std::uint32_t> reset_code;  ///< the peer's RST_STREAM, or REFUSED_STREAM by its GOAWAY
    bool untouched = false;                   ///< after a failure: the peer has surely not acted on it
};

struct Http2Limits {
    std::int32_t stream_window = 0;      ///< bytes of a body that one stream makes us hold
    std::int32_t connection_window = 0;  ///< bytes that all of them do
    std::uint32_t streams = 0;           ///< that the peer may have open
};

class Http2Session {
public:
    enum class Role { server, client };
    using StreamPtr = std::shared_ptr<Http2Stream>;

    Http2Session(Role, const Http2Limits&);
    ~Http2Session();
    Http2Session(const Http2Session&) = delete;
    Http2Session& operator=(const Http2Session&) = delete;

    /// What the peer sent. An error ends the connection; an error of the protocol is told to the peer in next_output().
    Result<void> receive(std::string_view bytes);
    /// What to send next, valid until the next call of anything here; empty: nothing at the moment.
    Result<std::string_view> next_output();
    /// Neither side has anything to say any more.
    bool finished() const;

    /// As a server: the next stream that a request came on. Null: none.
    StreamPtr take_request();
    /// As a client: whether one more request can be sent here.
    bool accepts_requests() const;
    /// Sends the head and what is in `out`.
    Result<void> submit_request(const StreamPtr&, const wire::Fields& head);
    Result<void> submit_response(Http2Stream&, const wire::Fields& head);
    Result<void> submit_interim(Http2Stream&, const wire::Fields& head);
    /// More is in `out`, or it has ended.
    void resume(Http2Stream&);
    /// `bytes` of what came on it were passed on or given up.
    void consume(Http2Stream&, std::size_t bytes);
    /// RST_STREAM, unless it is closed. What came and was not consumed is given up.
    void reset(Http2Stream&, std::uint32_t code);
    /// Whoever used it goes. As a server: a response that is complete is still sent, and what the client goes on to
    /// send is stopped behind it (RFC 9113, section 8.1). Otherwise reset.
    void release(Http2Stream&);
    /// GOAWAY: no more streams from the peer; those that are open go on.
    void shut_down();

    std::size_t streams() const { return streams_.size(); }
    /// A header block has begun and not ended: until it has, the peer can say nothing else.
    bool head_under_way() const { return head_stream_ != 0; }
    /// All streams fail for this reason, once and for all. `idempotent_ok`: those on which nothing came count as
    /// untouched.
    void fail(const Error&, bool idempotent_ok);

private:
    struct Callbacks;
    StreamPtr add_stream(std::int32_t id);
    Http2Stream* stream(std::int32_t id);
    void take_head(Http2Stream&, bool is_request, bool ended);
    void give_up(Http2Stream&);
    static Error failed(int code);

    struct SessionFree {
        void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
    };
    const Role role_;
    std::unique_ptr<nghttp2_session, SessionFree> session_;
    std::unordered_map<std::int32_t, StreamPtr> streams_;
    std::deque<StreamPtr> requests_;  ///< not taken yet; bounded by the number of streams
    Http2Stream::Head head_;          ///< that is coming in
    std::size_t head_bytes_ = 0;
    std::int32_t head_stream_ = 0;  ///< 0: none is coming in
    bool going_away_ = false;       ///< the peer takes no further requests
};

}  // namespace sallyport::http
