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
    auto result = co_await send_head();
    if (result && upload_done_) {
        result = co_await download();
    } else if (result) {
        auto [uploaded, downloaded] = co_await (upload() && download());
        // A client that failed while sending is the cause; that the origin was given up follows from it.
        result = !uploaded ? uploaded : downloaded;
    }
    if (!result) outcome_.error = result.error();
    const bool whole = result.has_value() && upload_done_;
    outcome_.client_reusable = outcome_.client_reusable && whole;
    outcome_.origin_reusable = outcome_.origin_reusable && whole && !origin_.reader.has_buffered_input();
    co_return outcome_;
}

Task<void> Exchange::send_head() {
    std::string out = request_text(head_);
    if (!upload_done_) {
        const auto pieces = request_.buffered_body();
        if (!pieces) co_return pieces.error();
        append_body(out, head_.body.kind, *pieces);
        outcome_.request_bytes += total(*pieces);
        if (request_.message_done()) {
            append_body_end(out, head_.body.kind, request_.trailers());
            upload_done_ = true;
        }
    }
    auto sent = co_await origin_.stream.write(out);
    if (!sent && origin_.reused) outcome_.stale = true;
    co_return sent;
}

Task<void> Exchange::upload() {
    std::string out;
    while (!upload_done_) {
        const auto pieces = co_await request_.read_body();
        if (abandoned_) co_return Result<void>{};
        if (!pieces) {
            origin_.stream.abort();
            co_return pieces.error();
        }
        out.clear();
        const bool as_is = head_.body.kind == Framing::length && pieces->size() == 1;
        if (!as_is) append_body(out, head_.body.kind, *pieces);
        if (request_.message_done()) append_body_end(out, head_.body.kind, request_.trailers());
        const std::string_view direct = as_is ? pieces->front() : std::string_view();
        const auto sent = co_await origin_.stream.write(out, direct);
        // An origin that stops reading says why in its response; the download decides.
        if (!sent || abandoned_) co_return Result<void>{};
        outcome_.request_bytes += total(*pieces);
        upload_done_ = request_.message_done();
    }
    co_return Result<void>{};
}

Task<wire::ResponseHead> Exchange::final_head() {
    for (;;) {
        auto head = co_await origin_.reader.read_head(head_.method == "HEAD");
        if (!head) {
            outcome_.stale = origin_.reused && !origin_.reader.has_buffered_input() &&
                             (head.error().kind == ErrorKind::end_of_stream || head.error().kind == ErrorKind::io);
            co_return head.error();
        }
        client_.lifeline().progress();
        if (!head->is_interim()) co_return head;
        if (head->status == 101)
            co_return Error{ErrorKind::malformed, "the origin switched protocols without being asked"};
        if (head_.minor_version == 0) continue;
        const auto text = response_text(*head, {}, head_.minor_version, false);
        if (auto sent = co_await client_.write(text); !sent) co_return sent.error();
    }
}

/// Ends the upload, whatever it waits for.
Result<void> Exchange::abandon(Error error) {
    abandoned_ = true;
    client_.cancel();
    return error;
}

Task<void> Exchange::download() {
    auto head = co_await final_head();
    if (!head) co_return abandon(head.error());
    const auto framing = client_framing(*head, head_.minor_version);
    const bool close = !head_.keep_alive || framing.kind == Framing::until_close;
    std::string out = response_text(*head, framing, head_.minor_version, close);
    outcome_.status = head->status;
    if (auto passed = co_await pass_body(out, framing.kind); !passed) co_return abandon(passed.error());
    outcome_.client_reusable = !close;
    outcome_.origin_reusable = head->keep_alive && head->body.kind != Framing::until_close;
    abandoned_ = true;
    if (!upload_done_) client_.cancel();
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
