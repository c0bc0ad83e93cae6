#pragma once
// A blocking HTTP/2 peer for tests, client or origin, frame by frame: it sends what the test says and nothing that the
// protocol would want besides, except acknowledgements and (unless told otherwise) credit for what it has read. Only
// HPACK is nghttp2's. Reads end after 10 seconds of silence with an exception.

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/wire_peer.hpp"

namespace sallyport::test {

using Field = std::pair<std::string, std::string>;
using Fields = std::vector<Field>;

/// RFC 9113, section 4.1. Types, flags and codes have nghttp2's names.
struct Frame {
    std::uint8_t type = 0;
    std::uint8_t flags = 0;
    std::uint32_t stream = 0;
    std::string payload;

    std::string text() const;  ///< as on the wire
};

/// A number as frames carry them.
std::string big_endian(std::uint32_t value);

struct Http2Stream {
    std::deque<Fields> blocks;   ///< header blocks that came and were not taken yet
    std::string body;            ///< what came of it and was not taken yet
    std::uint64_t received = 0;  ///< bytes of the body in all
    bool ended = false;
    std::optional<std::uint32_t> reset;  ///< the code of RST_STREAM
    std::int64_t window = 0;             ///< what may be sent
};

class Http2Peer {
public:
    enum class Role { client, origin };
    using Settings = std::vector<std::pair<std::uint16_t, std::uint32_t>>;

    /// Says nothing yet.
    Http2Peer(WirePeer wire, Role role);

    // Frame by frame

    /// The preface, as a client, and SETTINGS.
    void start(const Settings& settings = {});
    void send(const Frame& frame) { wire_.send(frame.text()); }
    /// HPACK, with its memory of what went before.
    std::string encode(const Fields& fields);
    /// The next frame, noted below; nothing when the connection has ended.
    std::optional<Frame> next_frame();
    /// Reads until it holds. False: the connection ended before.
    bool wait_for(const std::function<bool()>& condition);
    /// Takes what has come, without waiting. False: the connection has ended.
    bool take_frames();
    /// Frames go both ways still.
    bool answers_ping();

    // Streams

    /// A client's next one.
    std::uint32_t new_stream();
    /// A request that came and was not taken yet; nothing when there is none.
    std::optional<std::uint32_t> take_request();
    /// The one that was taken last.
    std::uint32_t last_request() const { return last_request_; }
    Http2Stream& stream(std::uint32_t id);
    /// In HEADERS and as many CONTINUATIONs as it takes.
    void send_fields(std::uint32_t stream, const Fields& fields, bool end);
    /// Waits for credit where it must. False: the stream or the connection ended before.
    bool send_data(std::uint32_t stream, std::string_view bytes, bool end);
    /// Sends until nothing more was taken for `milliseconds`, or `most` bytes: how many.
    std::size_t send_while_taken(std::uint32_t stream, std::size_t most, int milliseconds);
    void reset(std::uint32_t stream, std::uint32_t code);
    void go_away(std::uint32_t last_stream, std::uint32_t code);

    /// While that is so, there is no credit but what give_credit() gives.
    void keep_credit(bool keep) { keep_credit_ = keep; }
    /// For the stream and for the connection.
    void give_credit(std::uint32_t stream, std::uint32_t bytes);

    // What the other side said of the connection
    const std::map<std::uint16_t, std::uint32_t>& settings() const { return settings_; }
    std::int64_t connection_window() const { return window_; }
    std::optional<std::uint32_t> goaway_code() const { return goaway_code_; }

    WirePeer& wire() { return wire_; }

private:
    struct Free {
        void operator()(nghttp2_hd_deflater* deflater) const { nghttp2_hd_deflate_del(deflater); }
        void operator()(nghttp2_hd_inflater* inflater) const { nghttp2_hd_inflate_del(inflater); }
    };

    void note(const Frame& frame);
    void note_settings(const Frame& frame);
    void note_fields(const Frame& frame);
    void note_data(const Frame& frame);
    void note_credit(const Frame& frame);
    Fields decode(std::string_view block);
    std::int64_t sendable(std::uint32_t stream);

    WirePeer wire_;
    const Role role_;
    std::unique_ptr<nghttp2_hd_deflater, Free> deflater_;
    std::unique_ptr<nghttp2_hd_inflater, Free> inflater_;
    std::map<std::uint32_t, Http2Stream> streams_;
    std::deque<std::uint32_t> requests_;
    std::map<std::uint16_t, std::uint32_t> settings_;
    std::string block_;  ///< of the header block that is under way
    std::uint32_t next_stream_ = 1;
    std::uint32_t last_request_ = 0;
    std::int64_t window_ = 65'535;
    std::optional<std::uint32_t> goaway_code_;
    unsigned pings_answered_ = 0;
    bool greeted_ = false;
    bool keep_credit_ = false;
};

}  // namespace sallyport::test
