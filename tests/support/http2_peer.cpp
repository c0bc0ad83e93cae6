#include "tests/support/http2_peer.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>

namespace sallyport::test {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kFrameHead = 9;
constexpr std::size_t kMaxFrame = 16'384;  // what every peer takes
constexpr std::int64_t kFirstWindow = 65'535;

std::uint32_t number(std::string_view bytes) {
    std::uint32_t value = 0;
    for (const char byte : bytes) value = value << 8 | static_cast<std::uint8_t>(byte);
    return value;
}

/// Without padding and priority.
std::string_view content(const Frame& frame) {
    std::string_view bytes = frame.payload;
    std::size_t padding = 0;
    if (frame.flags & NGHTTP2_FLAG_PADDED) {
        padding = static_cast<std::uint8_t>(bytes.front());
        bytes.remove_prefix(1);
    }
    if (frame.type == NGHTTP2_HEADERS && frame.flags & NGHTTP2_FLAG_PRIORITY) bytes.remove_prefix(5);
    bytes.remove_suffix(padding);
    return bytes;
}

nghttp2_nv as_nv(const Field& field) {
    const auto bytes = [](const std::string& text) {
        return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
    };
    return {bytes(field.first), bytes(field.second), field.first.size(), field.second.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

std::string big_endian(std::uint32_t value) {
    return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
            static_cast<char>(value)};
}

std::string Frame::text() const {
    std::string out = big_endian(static_cast<std::uint32_t>(payload.size())).substr(1);
    out += static_cast<char>(type);
    out += static_cast<char>(flags);
    return out + big_endian(stream) + payload;
}

Http2Peer::Http2Peer(WirePeer wire, Role role) : wire_(std::move(wire)), role_(role) {
    nghttp2_hd_deflater* deflater = nullptr;
    nghttp2_hd_inflater* inflater = nullptr;
    if (nghttp2_hd_deflate_new(&deflater, 4096) != 0 || nghttp2_hd_inflate_new(&inflater) != 0)
        throw std::runtime_error("no memory for HPACK");
    deflater_.reset(deflater);
    inflater_.reset(inflater);
}

void Http2Peer::start(const Settings& settings) {
    if (role_ == Role::client) wire_.send(kPreface);
    std::string payload;
    for (const auto& [id, value] : settings) payload += big_endian(id).substr(2) + big_endian(value);
    send({NGHTTP2_SETTINGS, 0, 0, payload});
}

std::string Http2Peer::encode(const Fields& fields) {
    std::vector<nghttp2_nv> list;
    for (const auto& field : fields) list.push_back(as_nv(field));
    std::string out(nghttp2_hd_deflate_bound(deflater_.get(), list.data(), list.size()), '\0');
    const auto size = nghttp2_hd_deflate_hd(deflater_.get(), reinterpret_cast<std::uint8_t*>(out.data()), out.size(),
                                            list.data(), list.size());
    if (size < 0) throw std::runtime_error("HPACK: cannot encode");
    out.resize(static_cast<std::size_t>(size));
    return out;
}

Fields Http2Peer::decode(std::string_view block) {
    Fields fields;
    const auto* in = reinterpret_cast<const std::uint8_t*>(block.data());
    for (std::size_t left = block.size();;) {
        nghttp2_nv nv{};
        int flags = 0;
        const auto used = nghttp2_hd_inflate_hd2(inflater_.get(), &nv, &flags, in, left, 1);
        if (used < 0) throw std::runtime_error("HPACK: the block cannot be decoded");
        in += used;
        left -= static_cast<std::size_t>(used);
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            fields.emplace_back(std::string(reinterpret_cast<char*>(nv.name), nv.namelen),
                                std::string(reinterpret_cast<char*>(nv.value), nv.valuelen));
        if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
    }
    nghttp2_hd_inflate_end_headers(inflater_.get());
    return fields;
}

std::optional<Frame> Http2Peer::next_frame() {
    if (role_ == Role::origin && !std::exchange(greeted_, true)) {
        const auto preface = wire_.read_exactly(kPreface.size());
        if (preface.empty()) return std::nullopt;
        if (preface != kPreface) throw std::runtime_error("not HTTP/2: " + preface);
    }
    const auto head = wire_.read_exactly(kFrameHead);
    if (head.size() < kFrameHead) return std::nullopt;
    Frame frame{static_cast<std::uint8_t>(head[3]), static_cast<std::uint8_t>(head[4]), number(head.substr(5)), {}};
    const auto size = number(head.substr(0, 3));
    frame.payload = wire_.read_exactly(size);
    if (frame.payload.size() < size) return std::nullopt;
    note(frame);
    return frame;
}

void Http2Peer::note(const Frame& frame) {
    switch (frame.type) {
        case NGHTTP2_DATA:
            return note_data(frame);
        case NGHTTP2_HEADERS:
        case NGHTTP2_CONTINUATION:
            return note_fields(frame);
        case NGHTTP2_SETTINGS:
            return note_settings(frame);
        case NGHTTP2_WINDOW_UPDATE:
            return note_credit(frame);
        case NGHTTP2_RST_STREAM:
            stream(frame.stream).reset = number(frame.payload);
            break;
        case NGHTTP2_GOAWAY:
            goaway_code_ = number(std::string_view(frame.payload).substr(4, 4));
            break;
        case NGHTTP2_PING:
            if (frame.flags & NGHTTP2_FLAG_ACK) ++pings_answered_;
            else send({NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, frame.payload});
            break;
        default:
            break;
    }
}

void Http2Peer::note_settings(const Frame& frame) {
    if (frame.flags & NGHTTP2_FLAG_ACK) return;
    for (std::string_view rest = frame.payload; rest.size() >= 6; rest.remove_prefix(6)) {
        const auto id = static_cast<std::uint16_t>(number(rest.substr(0, 2)));
        const auto value = number(rest.substr(2, 4));
        if (id == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) {
            const auto before = settings_.contains(id) ? std::int64_t{settings_[id]} : kFirstWindow;
            for (auto& [unused, stream] : streams_) stream.window += value - before;
        }
        if (id == NGHTTP2_SETTINGS_HEADER_TABLE_SIZE)
            nghttp2_hd_deflate_change_table_size(deflater_.get(), std::min<std::size_t>(value, 4096));
        settings_[id] = value;
    }
    send({NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, {}});
}

void Http2Peer::note_fields(const Frame& frame) {
    const bool first = frame.type == NGHTTP2_HEADERS;
    if (first && role_ == Role::origin && !streams_.contains(frame.stream)) requests_.push_back(frame.stream);
    auto& into = stream(frame.stream);
    if (first) into.ended = frame.flags & NGHTTP2_FLAG_END_STREAM;
    block_ += content(frame);
    if (frame.flags & NGHTTP2_FLAG_END_HEADERS) into.blocks.push_back(decode(std::exchange(block_, {})));
}

void Http2Peer::note_data(const Frame& frame) {
    auto& into = stream(frame.stream);
    const auto bytes = content(frame);
    into.body += bytes;
    into.received += bytes.size();
    into.ended = frame.flags & NGHTTP2_FLAG_END_STREAM;
    if (!keep_credit_ && !frame.payload.empty())
        give_credit(frame.stream, static_cast<std::uint32_t>(frame.payload.size()));
}

void Http2Peer::note_credit(const Frame& frame) {
    (frame.stream == 0 ? window_ : stream(frame.stream).window) += number(frame.payload);
}

bool Http2Peer::wait_for(const std::function<bool()>& condition) {
    while (!condition())
        if (!next_frame()) return false;
    return true;
}

bool Http2Peer::take_frames() {
    while (wire_.has_input())
        if (!next_frame()) return false;
    return true;
}

bool Http2Peer::answers_ping() {
    const auto before = pings_answered_;
    send({NGHTTP2_PING, 0, 0, "sallypor"});
    return wait_for([&] { return pings_answered_ > before; });
}

std::uint32_t Http2Peer::new_stream() { return std::exchange(next_stream_, next_stream_ + 2); }

std::optional<std::uint32_t> Http2Peer::take_request() {
    if (requests_.empty() || stream(requests_.front()).blocks.empty()) return std::nullopt;
    last_request_ = requests_.front();
    requests_.pop_front();
    return last_request_;
}

Http2Stream& Http2Peer::stream(std::uint32_t id) {
    const auto [at, added] = streams_.try_emplace(id);
    if (added) {
        const auto known = settings_.find(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
        at->second.window = known == settings_.end() ? kFirstWindow : known->second;
    }
    return at->second;
}

void Http2Peer::send_fields(std::uint32_t stream, const Fields& fields, bool end) {
    const std::string block = encode(fields);
    for (std::size_t at = 0; at == 0 || at < block.size(); at += kMaxFrame) {
        const bool last = block.size() - at <= kMaxFrame;
        const int flags = (last ? NGHTTP2_FLAG_END_HEADERS : 0) | (at == 0 && end ? NGHTTP2_FLAG_END_STREAM : 0);
        send({static_cast<std::uint8_t>(at == 0 ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION),
              static_cast<std::uint8_t>(flags), stream, block.substr(at, kMaxFrame)});
    }
}

std::int64_t Http2Peer::sendable(std::uint32_t id) {
    return std::max<std::int64_t>(0, std::min(window_, stream(id).window));
}

bool Http2Peer::send_data(std::uint32_t id, std::string_view bytes, bool end) {
    auto& to = stream(id);
    do {
        const bool credit = wait_for([&] { return to.reset || bytes.empty() || sendable(id) > 0; });
        if (!credit || to.reset) return false;
        const auto part = bytes.substr(0, std::min<std::size_t>(kMaxFrame, static_cast<std::size_t>(sendable(id))));
        bytes.remove_prefix(part.size());
        to.window -= static_cast<std::int64_t>(part.size());
        window_ -= static_cast<std::int64_t>(part.size());
        const bool last = end && bytes.empty();
        send({NGHTTP2_DATA, static_cast<std::uint8_t>(last ? NGHTTP2_FLAG_END_STREAM : 0), id, std::string(part)});
    } while (!bytes.empty());
    return true;
}

std::size_t Http2Peer::send_while_taken(std::uint32_t id, std::size_t most, int milliseconds) {
    constexpr std::size_t kPiece = 4096;  // what a socket that is writable takes without blocking
    std::size_t sent = 0;
    while (sent < most) {
        take_frames();
        if (stream(id).reset) break;
        if (sendable(id) == 0) {
            if (wire_.silent_for(milliseconds)) break;
            continue;
        }
        if (!wire_.writable_within(milliseconds)) break;
        const auto piece = std::min({kPiece, most - sent, static_cast<std::size_t>(sendable(id))});
        send_data(id, std::string(piece, 'x'), false);
        sent += piece;
    }
    return sent;
}

void Http2Peer::reset(std::uint32_t stream, std::uint32_t code) {
    send({NGHTTP2_RST_STREAM, 0, stream, big_endian(code)});
}

void Http2Peer::go_away(std::uint32_t last_stream, std::uint32_t code) {
    send({NGHTTP2_GOAWAY, 0, 0, big_endian(last_stream) + big_endian(code)});
}

void Http2Peer::give_credit(std::uint32_t stream, std::uint32_t bytes) {
    send({NGHTTP2_WINDOW_UPDATE, 0, stream, big_endian(bytes)});
    send({NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(bytes)});
}

}  // namespace sallyport::test
