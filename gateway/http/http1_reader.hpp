#pragma once
// Reads HTTP/1.1 messages one after another from a stream, through one bounded buffer that outlives them, so
// that a pipelined request stays where it is until its turn comes. While nothing is buffered and nothing
// arrives, no buffer is held.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gateway/base/block_cache.hpp"
#include "gateway/net/stream.hpp"
#include "gateway/wire/http1_parser.hpp"

namespace sallyport::http {

/// A flat buffer: bytes come in at the back, are used up from the front, and never exceed kMaxBytes.
class InputBuffer {
public:
    static constexpr std::size_t kBlock = BlockCache::kBlock;
    static constexpr std::size_t kMaxBytes = wire::kMaxHeadBytes + kBlock;

    InputBuffer() = default;
    ~InputBuffer() { release(); }
    InputBuffer(const InputBuffer&) = delete;
    InputBuffer& operator=(const InputBuffer&) = delete;

    std::string_view data() const { return {bytes_.get() + begin_, end_ - begin_}; }
    bool empty() const { return begin_ == end_; }
    void consume(std::size_t n);
    /// Room for new bytes, moving or growing as needed; empty when the bound is reached.
    std::span<char> prepare();
    void commit(std::size_t n);
    void release_if_empty();

private:
    void release();

    std::unique_ptr<char[]> bytes_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t used_ = 0;  ///< the most that end_ has been
};

template <bool is_request>
class Http1Reader {
public:
    using Parser = wire::Http1Parser<is_request>;
    using Head = typename Parser::Head;

    explicit Http1Reader(net::Stream& stream) : stream_(stream) {}

    /// Waits for the first byte of a message. ErrorKind::end_of_stream: the peer closed between two messages.
    net::Task<void> wait_message();
    /// `no_body`: see Http1Parser.
    net::Task<Head> read_head(bool no_body = false);
    /// The next pieces of the body, at least one byte; none at its end. Valid until the next call on this reader.
    net::Task<std::span<const std::string_view>> read_body();
    /// What of the body is at hand already, without waiting; may be nothing.
    Result<std::span<const std::string_view>> buffered_body();
    /// What follows the head that was read last is no HTTP: the body is now whatever comes until the peer has closed.
    void switch_protocols() { switched_ = true; }
    bool message_done() const { return switched_ ? closed_ : parser_->done(); }
    /// Trailers of the message that is done.
    wire::Fields& trailers() { return parser_->trailers(); }
    /// Bytes came that are no part of the messages read so far.
    bool has_buffered_input() const { return buffer_.data().size() > used_; }
    /// Those bytes, for whoever reads the stream from here on.
    std::string take_buffered_input();

private:
    net::Task<void> fill();
    Result<void> parse();

    net::Stream& stream_;
    InputBuffer buffer_;
    std::size_t used_ = 0;          ///< bytes that the views handed out last point into
    std::optional<Parser> parser_;  ///< of the current message
    bool switched_ = false;
    bool closed_ = false;   ///< after switched_: by the peer
    std::string_view raw_;  ///< after switched_: what was handed out last
};

extern template class Http1Reader<true>;
extern template class Http1Reader<false>;

}  // namespace sallyport::http
