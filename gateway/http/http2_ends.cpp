#include "gateway/http/http2_ends.hpp"

#include "gateway/wire/http2_head.hpp"

namespace sallyport::http {

using net::Task;

namespace {

constexpr std::size_t kMaxBlocksHanded = 4;  // of 16 KiB: the credit for them goes back when all were passed on
constexpr auto kForever = net::Clock::time_point::max();

}  // namespace

template <class Base>
Http2End<Base>::Http2End(SharedConnection connection, Http2Session::StreamPtr stream, net::Lifeline& lifeline,
                         const boost::asio::any_io_executor& executor)
    : connection_(std::move(connection)),
      stream_(std::move(stream)),
      lifeline_(lifeline),
      readable_(executor, lifeline),
      writable_(executor, lifeline) {
    stream_->changed = [this] {
        readable_.wake();
        writable_.wake();
    };
}

template <class Base>
Http2End<Base>::~Http2End() {
    stream_->changed = nullptr;
    std::size_t bytes = 0;
    for (const auto& block : handed_) bytes += block.size();
    connection_->session().consume(*stream_, bytes);
    connection_->session().release(*stream_);
    connection_->flush();
}

template <class Base>
void Http2End<Base>::interrupt() {
    interrupted_ = true;
    readable_.wake();
    writable_.wake();
}

template <class Base>
std::optional<Error> Http2End<Base>::hindrance() const {
    if (lifeline_.ended()) return lifeline_.reason();
    if (stream_->failure) return stream_->failure;
    if (interrupted_) return Error{ErrorKind::cancelled, "cancelled"};
    return std::nullopt;
}

template <class Base>
Task<void> Http2End<Base>::wait_readable() {
    if (auto why = hindrance()) co_return *why;
    co_await readable_.wait_until(kForever);
    co_return Result<void>{};
}

template <class Base>
Result<Pieces> Http2End<Base>::buffered_body() {
    std::size_t done = 0;
    for (const auto& block : handed_) done += block.size();
    handed_.clear();
    pieces_.clear();
    if (done > 0) {
        connection_->session().consume(*stream_, done);
        connection_->flush();
    }
    while (!stream_->in.empty() && handed_.size() < kMaxBlocksHanded) {
        handed_.push_back(std::move(stream_->in.front()));
        stream_->in.pop_front();
    }
    for (const auto& block : handed_) pieces_.push_back(block);
    return Pieces(pieces_);
}

template <class Base>
Task<Pieces> Http2End<Base>::read_body() {
    for (;;) {
        auto pieces = buffered_body();
        if (!pieces->empty() || body_done()) co_return pieces;
        if (auto waited = co_await wait_readable(); !waited) co_return waited.error();
    }
}

template <class Base>
Task<void> Http2End<Base>::write(Pieces pieces, const wire::Fields* trailers) {
    if (stream_->failure) co_return *stream_->failure;
    for (const auto piece : pieces) stream_->out += piece;
    if (trailers) {
        stream_->out_ended = true;
        stream_->out_trailers = wire::http2_trailers(*trailers);
    }
    if (head_waits_) {
        head_waits_ = false;
        if (auto sent = submit_head(); !sent) co_return sent;
    } else {
        connection_->session().resume(*stream_);
    }
    connection_->flush();
    while (trailers ? !stream_->out_sent : !stream_->out.empty()) {
        if (auto why = hindrance()) co_return *why;
        co_await writable_.wait_until(kForever);
    }
    lifeline_.progress();
    co_return Result<void>{};
}

template class Http2End<ClientEnd>;
template class Http2End<OriginEnd>;

Http2ClientEnd::Http2ClientEnd(SharedConnection connection, Http2Session::StreamPtr stream, net::Lifeline& lifeline,
                               const boost::asio::any_io_executor& executor)
    : Http2End(std::move(connection), std::move(stream), lifeline, executor) {
    const auto end_with_client = [this] {
        if (stream_->failure) lifeline_.end({ErrorKind::end_of_stream, "the client went away"});
    };
    stream_->changed = [wake = std::move(stream_->changed), end_with_client] {
        wake();
        end_with_client();
    };
    end_with_client();
}

void Http2ClientEnd::cut(std::uint32_t code) {
    connection_->session().reset(*stream_, code);
    connection_->flush();
}

Task<void> Http2ClientEnd::send_interim(wire::ResponseHead& head) {
    if (auto why = hindrance()) co_return *why;
    const auto fields = wire::http2_fields(head);
    auto sent = connection_->session().submit_interim(*stream_, fields);
    connection_->flush();
    co_return sent;
}

void Http2ClientEnd::start(wire::ResponseHead& head) {
    head_ = wire::http2_fields(head);
    head_waits_ = true;
}

Result<void> Http2ClientEnd::submit_head() { return connection_->session().submit_response(*stream_, head_); }

Http2OriginEnd::Http2OriginEnd(SharedConnection connection, std::optional<std::string> private_address, bool tls,
                               net::Lifeline& lifeline, const boost::asio::any_io_executor& executor)
    : Http2End(std::move(connection), std::make_shared<Http2Stream>(), lifeline, executor),
      private_address_(std::move(private_address)),
      tls_(tls) {}

void Http2OriginEnd::start(const wire::RequestHead& head) {
    head_ = wire::http2_fields(head, tls_ ? "https" : "http");
    to_head_ = head.method == "HEAD";
    head_waits_ = true;
}

Result<void> Http2OriginEnd::submit_head() {
    Result<void> sent = Error{ErrorKind::io, "the origin closed the connection"};
    if (!connection_->ended()) sent = connection_->session().submit_request(stream_, head_);
    if (!sent) {  // the reading side learns of it, too
        stream_->failure = sent.error();
        stream_->untouched = true;
        stream_->reset_code = NGHTTP2_REFUSED_STREAM;
    }
    return sent;
}

Task<wire::ResponseHead> Http2OriginEnd::read_head() {
    while (stream_->heads.empty()) {
        if (auto waited = co_await wait_readable(); !waited) co_return waited.error();
    }
    auto head = std::move(stream_->heads.front());
    stream_->heads.pop_front();
    if (head.too_large) co_return Error{ErrorKind::too_large, "the origin's header fields are too large"};
    co_return wire::response_from_http2(std::move(head.fields), head.ended, to_head_);
}

}  // namespace sallyport::http
