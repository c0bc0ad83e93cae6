#include "gateway/http/exchange.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "gateway/http/http1_writer.hpp"

namespace sallyport::http {
namespace {

using net::Task;
using wire::Framing;

std::uint64_t total(std::span<const std::string_view> pieces) {
    std::uint64_t sum = 0;
    for (const auto piece : pieces) sum += piece.size();
    return sum;
}

}  // namespace

Exchange::Exchange(net::Stream& client, Http1Reader<true>& request, OriginConnection& origin, wire::RequestHead& head)
    : client_(client),
      request_(request),
      origin_(origin),
      head_(head),
      upload_done_(head.body.kind == Framing::none) {}

boost::asio::awaitable<ExchangeOutcome> Exchange::run() {
    using namespace boost::asio::experimental::awaitable_operators;
    outcome_.reached = true;
    Result<void> result;
    if (upload_done_) {
        result = co_await send_head();
        if (result) result = co_await download();
    } else {
        auto [uploaded, downloaded] = co_await (upload() && download());
        client_.resume();
        // A client that failed while sending is the cause; that the origin was given up follows from it.
        result = !uploaded ? uploaded : downloaded;
    }
    if (!result) outcome_.error = result.error();
    const bool whole = result.has_value() && upload_done_;
    outcome_.client_reusable = outcome_.client_reusable && whole;
    outcome_.origin_reusable = outcome_.origin_reusable && whole && !origin_.reader.has_buffered_input();
    co_return outcome_;
}

/// A request without a body.
Task<void> Exchange::send_head() {
    const auto text = request_text(head_);
    auto sent = co_await origin_.stream.write(text);
    outcome_.stale = !sent && origin_.reused;
    co_return sent;
}

/// Head and body. What is at hand goes out together; nothing waits for more.
Task<void> Exchange::upload() {
    const auto framing = head_.body.kind;
    std::string out = request_text(head_);
    auto pieces = request_.buffered_body();
    while (!abandoned_) {
        if (!pieces) {
            outcome_.client_failed = true;
            origin_.stream.abort();
            co_return pieces.error();
        }
        const bool done = request_.message_done();
        const bool as_is = framing == Framing::length && pieces->size() == 1;
        if (!as_is) append_body(out, framing, *pieces);
        if (done) append_body_end(out, framing, request_.trailers());
        const std::string_view direct = as_is ? pieces->front() : std::string_view();
        const auto sent = co_await origin_.stream.write(out, direct);
        // An origin that stops reading says why in its response; the download decides.
        if (!sent) break;
        outcome_.request_bytes += total(*pieces);
        upload_done_ = done;
        if (done) break;
        out.clear();
        pieces = co_await request_.read_body();
    }
    co_return Result<void>{};
}

Task<wire::ResponseHead> Exchange::final_head() {
    for (bool first = true;; first = false) {
        auto head = co_await origin_.reader.read_head(head_.method == "HEAD");
        if (!head) {
            const bool closed = head.error().kind == ErrorKind::end_of_stream;
            outcome_.stale = first && origin_.reused && !origin_.reader.has_buffered_input() &&
                             (closed || head.error().kind == ErrorKind::io);
            if (closed) co_return Error{ErrorKind::io, "the origin closed the connection without a response"};
            co_return head.error();
        }
        client_.lifeline().progress();
        if (head->status < 100) co_return Error{ErrorKind::malformed, "the origin's status code is no number of its kind"};
        if (!head->is_interim()) co_return head;
        if (head->status == 101)
            co_return Error{ErrorKind::malformed, "the origin switched protocols without being asked"};
        if (head_.minor_version == 0) continue;
        const auto text = response_text(*head, {}, head_.minor_version, false);
        if (auto sent = co_await client_.write(text); !sent) {
            outcome_.client_failed = true;
            co_return sent.error();
        }
    }
}

Task<void> Exchange::download() {
    auto passed = co_await pass_response();
    abandoned_ = true;
    if (!upload_done_) {   // whatever the upload waits for, on either side
        client_.abort();
        origin_.stream.abort();
    }
    co_return passed;
}

Task<void> Exchange::pass_response() {
    auto head = co_await final_head();
    if (!head) co_return head.error();
    const auto framing = client_framing(*head, head_.minor_version);
    const bool close = !head_.keep_alive || framing.kind == Framing::until_close;
    std::string out = response_text(*head, framing, head_.minor_version, close);
    outcome_.status = head->status;
    if (auto passed = co_await pass_body(out, framing.kind); !passed) co_return passed;
    outcome_.client_reusable = !close;
    outcome_.origin_reusable = head->keep_alive && head->body.kind != Framing::until_close;
    co_return Result<void>{};
}

/// Writes `out` and the body behind it. What is at hand goes out together; nothing waits for more.
Task<void> Exchange::pass_body(std::string& out, Framing framing) {
    auto pieces = origin_.reader.buffered_body();
    for (;;) {
        if (!pieces) co_return pieces.error();
        const bool done = origin_.reader.message_done();
        const bool as_is = framing != Framing::chunked && pieces->size() == 1;
        if (!as_is) append_body(out, framing, *pieces);
        if (done) append_body_end(out, framing, origin_.reader.trailers());
        const std::string_view direct = as_is ? pieces->front() : std::string_view();
        auto sent = co_await client_.write(out, direct);
        if (!sent) co_return sent;
        outcome_.response_bytes += total(*pieces);
        if (done) co_return Result<void>{};
        out.clear();
        client_.lifeline().progress();
        pieces = co_await origin_.reader.read_body();
    }
}

}  // namespace sallyport::http
