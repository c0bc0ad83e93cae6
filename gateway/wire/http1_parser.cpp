#include "gateway/wire/http1_parser.hpp"

#include <algorithm>
#include <boost/beast/http/error.hpp>
#include <string>

namespace sallyport::wire {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kUsualFields = 16;

bool all_digits(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Why this head's framing is ambiguous or unsupported; empty when it is neither. Beast has already refused
/// Content-Length beside chunked, differing lengths and repeated Transfer-Encoding.
std::string_view framing_fault(const Fields& fields, int minor_version, bool is_request) {
    const auto coding = find(fields, "Transfer-Encoding");
    if (coding) {
        if (count(fields, "Transfer-Encoding") > 1) return "more than one Transfer-Encoding";
        if (!equal_ignoring_case(*coding, "chunked")) return "a Transfer-Encoding other than chunked";
        if (count(fields, "Content-Length") > 0) return "both Transfer-Encoding and Content-Length";
        if (minor_version == 0) return "Transfer-Encoding in HTTP/1.0";
    }
    if (is_request) {
        if (count(fields, "Content-Length") > 1) return "more than one Content-Length";
        if (count(fields, "Host") > 1) return "more than one Host";
    }
    const auto length = find(fields, "Content-Length");
    if (length && !all_digits(*length)) return "a Content-Length that is not a number";
    return {};
}

}  // namespace

template <bool is_request>
Http1Parser<is_request>::Http1Parser(bool no_body) {
    Base::eager(false);
    Base::header_limit(kMaxHeadBytes);
    Base::body_limit(boost::none);
    Base::skip(no_body);
}

template <bool is_request>
Result<std::size_t> Http1Parser<is_request>::put(std::string_view input) {
    body_.clear();
    beast_error ec;
    const std::size_t used = Base::put(boost::asio::const_buffer(input.data(), input.size()), ec);
    if (!framing_error_.detail.empty()) return framing_error_;
    if (ec == http::error::need_more) {
        if (input.size() - used >= kMaxHeadBytes) return Error{ErrorKind::too_large, "header fields too large"};
        return used;
    }
    if (ec == http::error::header_limit) return Error{ErrorKind::too_large, "header fields too large"};
    if (ec) return Error{ErrorKind::malformed, ec.message()};
    // From here on everything that is at hand is parsed in one call.
    if (head_done_) Base::eager(true);
    return used;
}

template <bool is_request>
Result<void> Http1Parser<is_request>::put_end() {
    body_.clear();
    if (!Base::got_some()) return Error{ErrorKind::end_of_stream, "closed"};
    beast_error ec;
    Base::put_eof(ec);
    if (ec) return Error{ErrorKind::malformed, "closed in the middle of a message"};
    return {};
}

template <bool is_request>
void Http1Parser<is_request>::on_request_impl(http::verb, beast_view method, beast_view target, int version,
                                              beast_error&) {
    if constexpr (is_request) {
        head_.method.assign(method.data(), method.size());
        head_.target.assign(target.data(), target.size());
        head_.minor_version = version % 10;
    }
}

template <bool is_request>
void Http1Parser<is_request>::on_response_impl(int status, beast_view reason, int version, beast_error&) {
    if constexpr (!is_request) {
        head_.status = static_cast<unsigned>(status);
        head_.reason.assign(reason.data(), reason.size());
        head_.minor_version = version % 10;
    }
}

template <bool is_request>
void Http1Parser<is_request>::on_field_impl(http::field, beast_view name, beast_view value, beast_error& ec) {
    Fields& into = head_done_ ? trailers_ : head_.fields;
    if (into.size() >= kMaxFields) {
        framing_error_ = {ErrorKind::too_large, "too many header fields"};
        ec = http::error::header_limit;
        return;
    }
    if (into.capacity() == 0) into.reserve(kUsualFields);
    into.push_back({{name.data(), name.size()}, {value.data(), value.size()}});
}

template <bool is_request>
void Http1Parser<is_request>::on_header_impl(beast_error& ec) {
    if (const auto fault = framing_fault(head_.fields, head_.minor_version, is_request); !fault.empty()) {
        framing_error_ = {ErrorKind::malformed, std::string(fault)};
        ec = http::error::bad_transfer_encoding;
        return;
    }
    // What is passed on is the number, not its digits: "0005" is octal to some. A response may repeat it (RFC 9110,
    // section 8.6); it is passed on once.
    if (const auto length = Base::content_length()) set(head_.fields, "Content-Length", std::to_string(*length));
    head_.keep_alive = Base::keep_alive();
    if (Base::is_done()) head_.body = {};
    else if (Base::chunked()) head_.body = {Framing::chunked, 0};
    else if (const auto length = Base::content_length()) head_.body = {Framing::length, *length};
    else head_.body = {Framing::until_close, 0};
    head_done_ = true;
}

template <bool is_request>
std::size_t Http1Parser<is_request>::on_body_impl(beast_view piece, beast_error&) {
    body_.emplace_back(piece.data(), piece.size());
    return piece.size();
}

template <bool is_request>
std::size_t Http1Parser<is_request>::on_chunk_body_impl(std::uint64_t, beast_view piece, beast_error&) {
    body_.emplace_back(piece.data(), piece.size());
    return piece.size();
}

template class Http1Parser<true>;
template class Http1Parser<false>;

}  // namespace sallyport::wire
