#pragma once
// HTTP/2 messages as text, one field a line, a blank line, the body, "\n--\n", trailers; and as frames for a session.

#include <nghttp2/nghttp2.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/http/http2_session.hpp"
#include "gateway/wire/http2_head.hpp"
#include "tests/fuzz/require.hpp"

namespace sallyport::fuzz {

using http::Http2Session;
using http::Http2Stream;

inline constexpr http::Http2Limits kHttp2Limits{64 * 1024, 256 * 1024, 100};

struct Http2Text {
    std::vector<wire::Fields> heads;  ///< of a response also the interim ones
    std::string body;
    wire::Fields trailers;
};

inline wire::Fields take_fields(std::string_view& input) {
    wire::Fields fields;
    while (!input.empty()) {
        const auto line = take_line(input);
        if (line.empty()) break;
        const auto colon = std::min(line.find(": ", 1), line.size());
        fields.push_back(
            {std::string(line.substr(0, colon)), std::string(line.substr(std::min(colon + 2, line.size())))});
    }
    return fields;
}

inline Http2Text http2_text(std::string_view input) {
    Http2Text message;
    do message.heads.push_back(take_fields(input));
    while (!message.heads.back().empty() && message.heads.back()[0].value.starts_with('1') &&
           message.heads.size() < 20);
    const auto end = std::min(input.find("\n--\n"), input.size());
    message.body = input.substr(0, end);
    input.remove_prefix(std::min(end + 4, input.size()));
    message.trailers = take_fields(input);
    return message;
}

/// Writes frames by hand: what our own session would not send must come in, too.
class Http2Frames {
public:
    Http2Frames() {
        nghttp2_hd_deflater* made = nullptr;
        require(nghttp2_hd_deflate_new(&made, 4096) == 0);
        deflater_.reset(made);
    }

    void settings() { frame(NGHTTP2_SETTINGS, 0, 0, {}); }
    void head(std::int32_t stream, const wire::Fields& fields, bool ended, bool in_two) {
        std::vector<nghttp2_nv> pairs;
        for (const auto& [name, value, sensitive] : fields)
            pairs.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
        std::string block(nghttp2_hd_deflate_bound(deflater_.get(), pairs.data(), pairs.size()), '\0');
        const auto size =
            nghttp2_hd_deflate_hd(deflater_.get(), bytes(block), block.size(), pairs.data(), pairs.size());
        require(size >= 0);
        block.resize(static_cast<std::size_t>(size));
        std::string_view rest = block;
        auto flags = static_cast<std::uint8_t>(ended ? NGHTTP2_FLAG_END_STREAM : 0);
        auto type = NGHTTP2_HEADERS;
        for (std::size_t most = in_two ? block.size() / 2 : kMost;; most = kMost) {
            const auto part = rest.substr(0, std::min(most, kMost));
            rest.remove_prefix(part.size());
            const auto last = static_cast<std::uint8_t>(rest.empty() ? NGHTTP2_FLAG_END_HEADERS : 0);
            frame(type, flags | last, stream, part);
            if (rest.empty()) return;
            type = NGHTTP2_CONTINUATION;
            flags = 0;
        }
    }
    void data(std::int32_t stream, std::string_view body, bool ended) {
        do {
            const auto part = body.substr(0, kMost);
            body.remove_prefix(part.size());
            frame(NGHTTP2_DATA, body.empty() && ended ? NGHTTP2_FLAG_END_STREAM : 0, stream, part);
        } while (!body.empty());
    }
    /// Head, body and trailers of `message`, its last head ending the stream when nothing else does.
    void message(std::int32_t stream, const Http2Text& message, bool in_two, bool with_body) {
        for (std::size_t i = 0; i < message.heads.size(); ++i)
            head(stream, message.heads[i], i + 1 == message.heads.size() && !with_body, in_two);
        if (!with_body) return;
        data(stream, message.body, message.trailers.empty());
        if (!message.trailers.empty()) head(stream, message.trailers, true, in_two);
    }
    std::string take() { return std::move(out_); }

private:
    static constexpr std::size_t kMost = 16 * 1024;

    static std::uint8_t* bytes(const std::string& text) {
        return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
    }
    void frame(int type, int flags, std::int32_t stream, std::string_view payload) {
        for (const int shift : {16, 8, 0}) out_ += static_cast<char>(payload.size() >> shift & 0xff);
        out_ += static_cast<char>(type);
        out_ += static_cast<char>(flags);
        for (const int shift : {24, 16, 8, 0}) out_ += static_cast<char>(stream >> shift & 0xff);
        out_ += payload;
    }

    struct Free {
        void operator()(nghttp2_hd_deflater* deflater) const { nghttp2_hd_deflate_del(deflater); }
    };
    std::unique_ptr<nghttp2_hd_deflater, Free> deflater_;
    std::string out_;
};

/// How it went. `depends`: on the pieces, and that is no difference to look into: the nghttp2 of Debian 12 counts a
/// CONTINUATION frame for each piece in which its header comes, and ends the connection at the ninth; and what stands
/// behind a GOAWAY when no stream is open is not read, unless it is in the same piece.
enum class Heard { all, ended, depends };

inline Heard receive(Http2Session& session, std::string_view bytes, std::size_t piece) {
    while (!bytes.empty()) {
        if (session.finished()) return Heard::depends;
        const auto part = bytes.substr(0, piece);
        bytes.remove_prefix(part.size());
        const auto heard = session.receive(part);
        if (!heard)
            return heard.error().detail.find("CONTINUATION") == std::string::npos ? Heard::ended : Heard::depends;
    }
    return Heard::all;
}

/// What one says the other hears, until both are silent.
inline void pump(Http2Session& a, Http2Session& b) {
    for (bool said = true; said;) {
        said = false;
        for (auto [from, to] : {std::pair(&a, &b), std::pair(&b, &a)})
            for (auto out = from->next_output(); out && !out->empty(); out = from->next_output()) {
                require(to->receive(*out).has_value());
                said = true;
            }
    }
}

inline std::string body_of(Http2Session& session, Http2Stream& stream) {
    std::string body;
    for (const auto& block : stream.in) body += block;
    stream.in.clear();
    session.consume(stream, body.size());
    return body;
}

/// What HTTP/2 must not carry and HTTP/1.1 must not be written from (RFC 9113, section 8.2).
inline void require_clean(const wire::Fields& fields) {
    for (const auto& [name, value, sensitive] : fields) {
        require(!name.empty() && name.find_first_of(std::string_view("\r\n\0 :\t", 6)) == name.npos);
        require(value.find_first_of(std::string_view("\r\n\0", 3)) == value.npos);
        for (const auto* connection : {"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"})
            require(!wire::equal_ignoring_case(name, connection));
        require(!wire::equal_ignoring_case(name, "TE") || wire::equal_ignoring_case(value, "trailers"));
    }
    require(wire::count(fields, "Host") <= 1);
}

inline void require_clean(const wire::RequestHead& head) {
    require_clean(head.fields);
    for (const auto* text : {&head.method, &head.target, &head.upgrade})
        require(text->find_first_of(std::string_view("\r\n\0 ", 4)) == text->npos);
    require(!head.method.empty());
}

struct Http2Message {
    wire::RequestHead head;
    std::string body;
    wire::Fields trailers;
};

/// A request as the origin reads it when it is sent over HTTP/2.
inline Http2Message through_http2(const wire::RequestHead& head, std::string_view body, const wire::Fields& trailers) {
    Http2Session client(Http2Session::Role::client, kHttp2Limits);
    Http2Session origin(Http2Session::Role::server, kHttp2Limits);
    pump(client, origin);
    const auto stream = std::make_shared<Http2Stream>();
    stream->out = body;
    stream->out_ended = true;
    stream->out_trailers = wire::http2_trailers(trailers);
    require(client.submit_request(stream, wire::http2_fields(head, "https")).has_value());
    pump(client, origin);
    const auto came = origin.take_request();
    require(came && came->heads.size() == 1 && !came->heads[0].too_large);
    Http2Message message;
    while (true) {  // as far as the window reaches at a time
        const auto part = body_of(origin, *came);
        message.body += part;
        pump(client, origin);
        if (part.empty()) break;
    }
    require(came->in_ended && stream->out_sent);
    auto read = wire::request_from_http2(came->heads[0].fields, came->heads[0].ended, "https");
    require(read.has_value());
    message.head = std::move(*read);
    message.trailers = came->trailers;
    return message;
}

}  // namespace sallyport::fuzz
