#include "gateway/http/http1_ends.hpp"

#include "gateway/http/http1_writer.hpp"

namespace sallyport::http {

using net::Task;
using wire::Framing;

template <class Base, class Reader>
Task<void> Http1End<Base, Reader>::write(Pieces pieces, const wire::Fields* trailers) {
    const bool as_is = framing_ != Framing::chunked && pieces.size() == 1;
    if (!as_is) append_body(out_, framing_, pieces);
    if (trailers) append_body_end(out_, framing_, *trailers);
    const std::string_view direct = as_is ? pieces.front() : std::string_view();
    auto sent = co_await stream_.write(out_, direct);
    out_.clear();
    co_return sent;
}

template class Http1End<ClientEnd, Http1Reader<true>>;
template class Http1End<OriginEnd, Http1Reader<false>>;

Task<void> Http1ClientEnd::send_interim(wire::ResponseHead& head) {
    if (minor_version_ == 0) co_return Result<void>{};
    const auto text = response_text(head, {}, minor_version_, false);
    co_return co_await stream_.write(text);
}

void Http1ClientEnd::start(wire::ResponseHead& head) {
    const auto framing = client_framing(head, minor_version_);
    if (framing.kind == Framing::until_close) keep_alive_ = false;
    out_ = response_text(head, framing, minor_version_, !keep_alive_);
    framing_ = framing.kind;
}

void Http1ClientEnd::abandon_request() {
    if (!reader_.message_done() || lifeline().ended()) keep_alive_ = false;
}

void Http1OriginEnd::start(const wire::RequestHead& head) {
    out_ = request_text(head);
    framing_ = head.body.kind;
    to_head_ = head.method == "HEAD";
    untouched_ = connection_->reused;
}

Task<wire::ResponseHead> Http1OriginEnd::read_head() {
    auto head = co_await reader_.read_head(to_head_);
    if (!head) {
        const bool gone = head.error().kind == ErrorKind::end_of_stream || head.error().kind == ErrorKind::io;
        untouched_ = untouched_ && gone && !reader_.has_buffered_input();
        co_return head;
    }
    untouched_ = false;
    keep_alive_ = head->keep_alive && head->body.kind != Framing::until_close;
    co_return head;
}

void Http1OriginEnd::finish() {
    if (keep_alive_ && !reader_.has_buffered_input()) keep_(std::move(connection_));
}

}  // namespace sallyport::http
