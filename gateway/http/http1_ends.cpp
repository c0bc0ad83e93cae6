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
    if (sent && trailers && switched_) stream_.shutdown_write();
    co_return sent;
}

template <class Base, class Reader>
void Http1End<Base, Reader>::switch_protocols() {
    reader_.switch_protocols();
    framing_ = Framing::none;
    switched_ = true;
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

void Http1ClientEnd::switch_protocols() {
    Http1End::switch_protocols();
    keep_alive_ = false;
    lifeline().watch_client(nullptr);  // a client that has closed may have said something before
}

void Http1ClientEnd::abandon_request() {
    if (!reader_.message_done() || lifeline().ended()) keep_alive_ = false;
}

void Http1OriginEnd::start(const wire::RequestHead& head) {
    out_ = request_text(head);
    framing_ = head.body.kind;
    to_head_ = head.method == "HEAD";
    upgrade_ = !head.upgrade.empty();
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
    // After a request to switch, whatever the answer was, somebody behind the origin may take what follows for a
    // tunnel.
    if (keep_alive_ && !upgrade_ && !reader_.has_buffered_input()) keep_(std::move(connection_));
}

}  // namespace sallyport::http
