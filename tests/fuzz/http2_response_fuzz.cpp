// An origin's response over HTTP/2, its fields encoded as they stand in the input: what becomes a response is clean,
// and clients of either version read in what is written what the origin meant.

#include "gateway/http/http1_writer.hpp"
#include "tests/fuzz/http1_feed.hpp"
#include "tests/fuzz/http2_feed.hpp"
#include "tests/fuzz/second_reader.hpp"

using namespace sallyport;
using fuzz::Http2Session;
using fuzz::Http2Stream;
using fuzz::require;

namespace {

struct Came {
    std::vector<wire::ResponseHead> heads;  ///< interim ones, and the final one
    std::string body;
    wire::Fields trailers;
};

std::shared_ptr<Http2Stream> ask(Http2Session& session, bool to_head) {
    const auto stream = std::make_shared<Http2Stream>();
    stream->out_ended = true;
    const wire::Fields head{
        {":method", to_head ? "HEAD" : "GET"}, {":scheme", "https"}, {":authority", "h"}, {":path", "/"}};
    require(session.submit_request(stream, head).has_value());
    return stream;
}

/// nullopt: refused, or never complete.
std::optional<Came> take(Http2Session& session, Http2Stream& stream, bool to_head) {
    if (stream.failure || !stream.in_ended || !stream.final_head_came) return std::nullopt;
    Came came;
    for (const auto& raw : stream.heads) {
        if (raw.too_large) return std::nullopt;
        auto head = wire::response_from_http2(raw.fields, raw.ended, to_head);
        if (!head) return std::nullopt;
        came.heads.push_back(std::move(*head));
    }
    came.body = fuzz::body_of(session, stream);
    came.trailers = stream.trailers;
    return came;
}

std::optional<Came> read(const std::string& frames, std::size_t piece, bool to_head, fuzz::Heard& heard) {
    Http2Session session(Http2Session::Role::client, fuzz::kHttp2Limits);
    const auto stream = ask(session, to_head);
    for (auto out = session.next_output(); out && !out->empty();) out = session.next_output();
    heard = fuzz::receive(session, frames, piece);
    if (heard != fuzz::Heard::all) return std::nullopt;
    return take(session, *stream, to_head);
}

void check_http1_client(wire::ResponseHead head, const Came& came, bool to_head) {
    const auto framing = http::client_framing(head, 1);
    std::string text = http::response_text(head, framing, 1, false);
    const std::string_view body = came.body;
    http::append_body(text, framing.kind, {&body, 1});
    http::append_body_end(text, framing.kind, came.trailers);
    const auto again = fuzz::feed<false>(text, text.size() + 1, to_head, true);
    require(again.has_value() && again->rest.empty() && again->head.status == head.status && again->body == came.body);
    fuzz::require_second_reading(text, head, body, to_head);
}

void check_http2_client(wire::ResponseHead head, const Came& came, bool to_head) {
    Http2Session us(Http2Session::Role::server, fuzz::kHttp2Limits);
    Http2Session client(Http2Session::Role::client, fuzz::kHttp2Limits);
    const auto asked = ask(client, to_head);
    fuzz::pump(client, us);
    const auto stream = us.take_request();
    require(stream != nullptr);
    stream->out = came.body;
    stream->out_ended = true;
    stream->out_trailers = wire::http2_trailers(came.trailers);
    require(us.submit_response(*stream, wire::http2_fields(head)).has_value());
    fuzz::pump(client, us);
    const auto again = take(client, *asked, to_head);
    require(again.has_value() && again->heads.size() == 1 && again->heads[0].status == head.status);
    require(again->body == came.body.substr(0, again->body.size()));
    require(again->body.size() == came.body.size() || came.body.size() > 60'000);  // the window
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1 || size > 20'000) return 0;
    const bool to_head = data[0] & 1;
    fuzz::Http2Frames frames;
    frames.settings();
    frames.message(1, fuzz::http2_text(fuzz::text(data + 1, size - 1)), data[0] & 2, data[0] & 4);
    const auto bytes = frames.take();
    fuzz::Heard heard{};
    const auto came = read(bytes, bytes.size() + 1, to_head, heard);
    const bool also_in_pieces = read(bytes, 1, to_head, heard).has_value();
    require(came.has_value() == also_in_pieces || heard == fuzz::Heard::depends);
    if (!came) return 0;
    require(!came->heads.empty());
    for (const auto& head : came->heads) {
        fuzz::require_clean(head.fields);
        require(head.status >= 100 && head.status <= 999);
    }
    fuzz::require_clean(came->trailers);
    const auto& head = came->heads.back();
    require(!head.is_interim());
    if (head.body.kind == wire::Framing::length) require(head.body.length == came->body.size());
    if (head.body.kind == wire::Framing::none) require(came->body.empty());
    check_http1_client(head, *came, to_head);
    check_http2_client(head, *came, to_head);
    return 0;
}
