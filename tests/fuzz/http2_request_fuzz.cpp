// A request over HTTP/2, its fields encoded as they stand in the input, from its frames to the gate: what becomes a
// request is clean, its body as long as it says; see gate_oracle.hpp for the rest.

#include "tests/fuzz/gate_oracle.hpp"

using namespace sallyport;
using fuzz::require;

namespace {

struct Came {
    wire::RequestHead head;
    std::string body;
    wire::Fields trailers;
};

/// nullopt: refused, or never complete.
std::optional<Came> read(const std::string& frames, std::size_t piece, bool tls, fuzz::Heard& heard) {
    fuzz::Http2Session session(fuzz::Http2Session::Role::server, fuzz::kHttp2Limits);
    heard = fuzz::receive(session, NGHTTP2_CLIENT_MAGIC + frames, piece);
    if (heard != fuzz::Heard::all) return std::nullopt;
    const auto stream = session.take_request();
    require(!session.take_request());
    while (true) {
        const auto out = session.next_output();
        if (!out || out->empty()) break;
    }
    if (!stream || stream->failure || !stream->in_ended || stream->heads.size() != 1 || stream->heads[0].too_large)
        return std::nullopt;
    const bool ended = stream->heads[0].ended;
    auto head = wire::request_from_http2(stream->heads[0].fields, ended, tls ? "https" : "http");
    if (!head) return std::nullopt;
    return Came{std::move(*head), fuzz::body_of(session, *stream), stream->trailers};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const session::Rules kRules = fuzz::load_rules();
    if (size < 1 || size > 20'000) return 0;
    const auto input = fuzz::text(data + 1, size - 1);
    if (input.find(fuzz::kReal) != input.npos) return 0;
    const bool tls = data[0] & 1;
    const bool with_body = data[0] & 8;
    fuzz::Http2Frames frames;
    frames.settings();
    frames.message(1, fuzz::http2_text(input), data[0] & 16, with_body);
    const auto bytes = frames.take();
    fuzz::Heard heard{};
    const auto came = read(bytes, bytes.size() + 100, tls, heard);
    const auto in_pieces = read(bytes, 1, tls, heard);
    if (heard != fuzz::Heard::depends) {
        require(came.has_value() == in_pieces.has_value());
        require(!came || (fuzz::same(came->head.fields, in_pieces->head.fields) && came->body == in_pieces->body &&
                          fuzz::same(came->trailers, in_pieces->trailers)));
    }
    if (!came) return 0;

    fuzz::require_clean(came->head);
    fuzz::require_clean(came->trailers);
    for (const auto* fields : {&came->head.fields, &came->trailers})
        for (const auto& field : *fields) require(!field.name.starts_with(':'));
    if (came->head.upgrade.empty()) {  // of a tunnel the body is no body
        require(came->head.body.kind != wire::Framing::length || came->head.body.length == came->body.size());
        require(came->head.body.kind != wire::Framing::none || came->body.empty());
        if (const auto length = wire::find(came->head.fields, "content-length"))
            require(*length == std::to_string(came->body.size()) ||
                    std::strtoull(length->data(), nullptr, 10) == came->body.size());
    }
    const session::ConnectionFacts facts{tls, (data[0] & 2) ? "h.example" : "open.example",
                                         static_cast<std::uint16_t>(tls ? 443 : 80), true};
    fuzz::check_gate(kRules, facts, false, data[0] & 4, came->head, came->head.upgrade.empty() ? came->body : "",
                     came->trailers);
    return 0;
}
