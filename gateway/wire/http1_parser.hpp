#pragma once
// Incremental HTTP/1.1 parser: bytes in, one message out. The grammar is Beast's basic_parser; this class adds
// storage of our own, the refusal of every message whose framing has more than one reading (RFC 9112, section
// 11.2: request smuggling), and keeps trailers apart from the head.

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "gateway/base/result.hpp"
#include "gateway/wire/http_message.hpp"

namespace sallyport::wire {

/// Bytes of a head, and of a chunk header with the trailers behind it. Callers' buffers must hold as much.
inline constexpr std::size_t kMaxHeadBytes = 96 * 1024;
inline constexpr std::size_t kMaxFields = 256;

template <bool is_request>
class Http1Parser : private boost::beast::http::basic_parser<is_request> {
    using Base = boost::beast::http::basic_parser<is_request>;
    using beast_error = boost::beast::error_code;
    using beast_view = boost::beast::string_view;

public:
    using Head = std::conditional_t<is_request, RequestHead, ResponseHead>;

    /// For a response: `no_body` when it answers HEAD, whose response never has one.
    explicit Http1Parser(bool no_body = false);

    /// Parses from the front of `input` and returns how many bytes are done with; 0 means that more are needed.
    /// The head is parsed in one piece: `input` must grow until it holds all of it. Views in body() point into
    /// `input` and are those of this call only.
    Result<std::size_t> put(std::string_view input);
    /// The peer closed: the end of the message for Framing::until_close, an error otherwise.
    Result<void> put_end();

    bool head_done() const { return head_done_; }
    bool done() const { return head_done_ && Base::is_done(); }
    /// Valid once head_done(); the caller may move it away.
    Head& head() { return head_; }
    std::span<const std::string_view> body() const { return body_; }
    /// Complete once done().
    Fields& trailers() { return trailers_; }

private:
    void on_request_impl(boost::beast::http::verb, beast_view method, beast_view target, int version,
                         beast_error&) override;
    void on_response_impl(int status, beast_view reason, int version, beast_error&) override;
    void on_field_impl(boost::beast::http::field, beast_view name, beast_view value, beast_error&) override;
    void on_header_impl(beast_error&) override;
    void on_body_init_impl(const boost::optional<std::uint64_t>&, beast_error&) override {}
    std::size_t on_body_impl(beast_view piece, beast_error&) override;
    void on_chunk_header_impl(std::uint64_t, beast_view, beast_error&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, beast_view piece, beast_error&) override;
    void on_finish_impl(beast_error&) override {}

    Head head_;
    Fields trailers_;
    std::vector<std::string_view> body_;
    Error framing_error_;  ///< set when a callback refuses what Beast would accept
    bool head_done_ = false;
};

extern template class Http1Parser<true>;
extern template class Http1Parser<false>;

}  // namespace sallyport::wire
