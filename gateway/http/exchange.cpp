#include "gateway/http/exchange.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "gateway/http/websocket.hpp"

namespace sallyport::http {
namespace {

using net::Task;

constexpr int kMaxInterimHeads = 16;  // of one response: each counts as progress

std::uint64_t total(Pieces pieces) {
    std::uint64_t sum = 0;
    for (const auto piece : pieces) sum += piece.size();
    return sum;
}

}  // namespace

Exchange::Exchange(ClientEnd& client, OriginEnd& origin, const wire::RequestHead& head, TunnelLimits limits)
    : client_(client), origin_(origin), head_(head), limits_(limits) {}

boost::asio::awaitable<ExchangeOutcome> Exchange::run() {
    using namespace boost::asio::experimental::awaitable_operators;
    outcome_.reached = true;
    origin_.start(head_);
    Result<void> result;
    if (head_.body.kind == wire::Framing::none) {
        result = co_await upload();
        if (result) result = co_await download();
    } else {
        auto [uploaded, downloaded] = co_await (upload() && download());
        client_.resume();
        // A client that failed while sending is the cause; that the origin was given up follows from it.
        result = !uploaded ? uploaded : downloaded;
    }
    if (!result) {
        outcome_.error = result.error();
        outcome_.stale = outcome_.status == 0 && !outcome_.client_failed && origin_.untouched();
        outcome_.reset_code = origin_.reset_code().value_or(outcome_.reset_code);
    }
    outcome_.whole = result.has_value() && upload_done_;
    co_return outcome_;
}

/// Head and body. What is at hand goes out together; nothing waits for more.
Task<void> Exchange::upload() {
    Result<Pieces> pieces = Pieces();
    if (head_.body.kind == wire::Framing::none) upload_done_ = true;
    else pieces = client_.buffered_body();
    while (!abandoned_) {
        if (!pieces) {
            outcome_.client_failed = true;
            origin_.interrupt();
            co_return pieces.error();
        }
        const bool done = upload_done_ || client_.body_done();
        wire::Fields trailers;
        if (done && !upload_done_) trailers = wire::without_repeated(client_.trailers(), head_.fields);
        const wire::Fields* const end = done ? &trailers : nullptr;
        const auto sent = co_await origin_.write(*pieces, end);
        if (!sent && upload_done_) co_return sent;
        // An origin that stops reading a body says why in its response; the download decides.
        if (!sent) break;
        outcome_.request_bytes += total(*pieces);
        upload_done_ = done;
        if (done) break;
        pieces = co_await client_.read_body();
    }
    co_return Result<void>{};
}

Task<wire::ResponseHead> Exchange::final_head() {
    for (int interim = 0;; ++interim) {
        auto head = co_await origin_.read_head();
        if (!head) {
            if (head.error().kind != ErrorKind::end_of_stream) co_return head.error();
            co_return Error{ErrorKind::io, "the origin closed the connection without a response"};
        }
        client_.lifeline().progress();
        if (head->status < 100)
            co_return Error{ErrorKind::malformed, "the origin's status code is no number of its kind"};
        if (!head->is_interim()) co_return head;
        if (head->status == 101) {
            if (auto kept = check_switch(head_, *head); !kept) co_return kept.error();
            co_return head;
        }
        if (interim == kMaxInterimHeads)
            co_return Error{ErrorKind::malformed, "the origin sends interim responses without an end"};
        if (auto sent = co_await client_.send_interim(*head); !sent) {
            outcome_.client_failed = true;
            co_return sent.error();
        }
    }
}

Task<void> Exchange::download() {
    auto passed = co_await pass_response();
    abandoned_ = true;
    if (!upload_done_) {  // whatever the upload waits for, on either side
        client_.interrupt();
        origin_.interrupt();
    }
    co_return passed;
}

Task<void> Exchange::pass_response() {
    auto head = co_await final_head();
    if (!head) co_return head.error();
    client_.start(*head);
    outcome_.status = head->status;
    if (head->status == 101) co_return co_await tunnel();
    co_return co_await pass(origin_, client_, outcome_.response_bytes);
}

Task<void> Exchange::pass(End& from, End& to, std::uint64_t& count) {
    auto pieces = from.buffered_body();
    for (;;) {
        if (!pieces) co_return pieces.error();
        const bool done = from.body_done();
        const wire::Fields* const trailers = done ? &from.trailers() : nullptr;
        if (auto sent = co_await to.write(*pieces, trailers); !sent) co_return sent;
        count += total(*pieces);
        if (done) co_return Result<void>{};
        client_.lifeline().progress();
        pieces = co_await from.read_body();
    }
}

Task<void> Exchange::tunnel() {
    using namespace boost::asio::experimental::awaitable_operators;
    client_.switch_protocols();
    origin_.switch_protocols();
    client_.lifeline().expect_within(limits_.idle, "no byte in either direction");
    auto [up, down] = co_await (tunnel_side(client_, origin_, outcome_.request_bytes) &&
                                tunnel_side(origin_, client_, outcome_.response_bytes));
    // The first real failure is the reason; the other direction was only interrupted for it.
    if (!up && up.error().kind != ErrorKind::cancelled) co_return up;
    if (!down) co_return down;
    co_return up;
}

Task<void> Exchange::tunnel_side(End& from, End& to, std::uint64_t& count) {
    auto passed = co_await pass(from, to, count);
    client_.lifeline().expect_within(limits_.closing, "one side has closed");
    if (!passed) {
        from.interrupt();
        to.interrupt();
    }
    co_return passed;
}

}  // namespace sallyport::http
