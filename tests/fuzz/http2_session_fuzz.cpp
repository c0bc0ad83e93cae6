// Any bytes behind the preface, to either role: however they are cut, the same comes of them; what is held stays within
// the bounds; and what is said in return has an end.

#include "tests/fuzz/http2_feed.hpp"

using namespace sallyport;
using fuzz::Http2Session;
using fuzz::Http2Stream;
using fuzz::require;

namespace {

std::size_t held(const Http2Stream& stream) {
    std::size_t sum = 0;
    for (const auto& block : stream.in) sum += block.size();
    return sum;
}

void append(std::string& out, const wire::Fields& fields) {
    for (const auto& field : fields) out.append(field.name).append(": ").append(field.value).append("\n");
    out += '\n';
}

/// What came on it, as text; of one that failed some part of it may have come.
void append(std::string& out, const Http2Stream& stream, bool over) {
    if (stream.failure || (over && !stream.in_ended)) {
        out += "failed\n";
        return;
    }
    for (const auto& head : stream.heads) append(out, head.fields);
    for (const auto& block : stream.in) out += block;
    append(out, stream.trailers);
    out += stream.in_ended ? "ended\n" : "open\n";
}

void check(const Http2Stream& stream) {
    require(held(stream) <= static_cast<std::size_t>(fuzz::kHttp2Limits.stream_window));
    require(stream.heads.size() <= 17);
    for (const auto& head : stream.heads) {
        std::size_t bytes = 0;
        for (const auto& field : head.fields) bytes += field.name.size() + field.value.size();
        require(bytes <= 96 * 1024 && head.fields.size() <= 256);
        if (head.too_large) continue;
        const auto pseudo_end = std::find_if(head.fields.begin(), head.fields.end(),
                                             [](const auto& f) { return !f.name.starts_with(':'); });
        fuzz::require_clean(wire::Fields(pseudo_end, head.fields.end()));
    }
    fuzz::require_clean(stream.trailers);
}

/// Behind it nghttp2 reads on while a stream is open or what came is in the same piece, and only then.
bool has_goaway(std::string_view frames) {
    constexpr std::size_t kHeader = 9;  // of a frame: 3 bytes of length, then its type
    while (frames.size() >= kHeader) {
        if (frames[3] == NGHTTP2_GOAWAY) return true;
        std::size_t length = 0;
        for (int i = 0; i < 3; ++i) length = length << 8 | static_cast<unsigned char>(frames[i]);
        frames.remove_prefix(std::min(kHeader + length, frames.size()));
    }
    return false;
}

/// Empty: it depends on the pieces.
std::string hear(Http2Session::Role role, std::string_view bytes, std::size_t piece) {
    Http2Session session(role, fuzz::kHttp2Limits);
    std::vector<std::shared_ptr<Http2Stream>> streams;
    if (role == Http2Session::Role::client) {
        for (const auto* method : {"GET", "HEAD", "POST"}) {
            auto stream = std::make_shared<Http2Stream>();
            stream->out_ended = true;
            const wire::Fields head{{":method", method}, {":scheme", "https"}, {":authority", "h"}, {":path", "/"}};
            require(session.submit_request(stream, head).has_value());
            streams.push_back(std::move(stream));
        }
        while (!session.next_output()->empty()) {
        }
    } else {
        require(session.receive(std::string(NGHTTP2_CLIENT_MAGIC) + std::string("\0\0\0\4\0\0\0\0\0", 9)).has_value());
    }
    const auto heard = fuzz::receive(session, bytes, piece);
    if (role == Http2Session::Role::server) {
        while (auto stream = session.take_request()) {
            require(stream->heads.size() == 1 || stream->failure);
            streams.push_back(std::move(stream));
        }
        require(session.streams() <= fuzz::kHttp2Limits.streams);
    }
    std::size_t sum = 0;
    for (const auto& stream : streams) {
        check(*stream);
        sum += held(*stream);
    }
    require(sum <= static_cast<std::size_t>(fuzz::kHttp2Limits.connection_window));
    std::size_t said = 0;
    for (auto out = session.next_output(); out && !out->empty(); out = session.next_output()) said += out->size();
    require(said <= 64 * 1024 + 20 * bytes.size());
    std::string text = heard == fuzz::Heard::all ? "goes on\n" : "ends\n";
    const bool over = heard != fuzz::Heard::all || session.finished();  // then what is open fails, too
    for (const auto& stream : streams) append(text, *stream, over);
    for (const auto& stream : streams) session.release(*stream);
    session.fail({ErrorKind::io, "over"}, false);
    require(session.streams() == 0 && !session.take_request());
    return heard == fuzz::Heard::depends ? "" : text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const auto role = data[0] & 1 ? Http2Session::Role::server : Http2Session::Role::client;
    const auto bytes = fuzz::text(data + 1, size - 1);
    const auto whole = hear(role, bytes, size);
    for (const std::size_t piece : {1u, 10u})
        if (const auto cut = hear(role, bytes, piece); !cut.empty()) require(cut == whole || has_goaway(bytes));
    return 0;
}
