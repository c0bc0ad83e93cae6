#include "gateway/http/http2_session.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "gateway/base/wiped_memory.hpp"
#include "gateway/wire/http1_parser.hpp"

namespace sallyport::http {
namespace {

constexpr std::size_t kBlock = 16 * 1024;
constexpr std::size_t kMaxInterimHeads = 16;                   // that nobody has read yet
constexpr std::size_t kMaxSentHead = 4 * wire::kMaxHeadBytes;  // ours are checked; this is not to be in their way
constexpr std::uint32_t kMaxRequests = 250;                    // at a time, to one origin by one connection

std::vector<nghttp2_nv> name_values(const wire::Fields& fields) {
    std::vector<nghttp2_nv> out;
    out.reserve(fields.size());
    for (const auto& field : fields) {
        // nghttp2 copies them; its interface has no const
        auto* name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(field.name.data()));
        auto* value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(field.value.data()));
        const auto flags = static_cast<std::uint8_t>(field.sensitive ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
        out.push_back({name, value, field.name.size(), field.value.size(), flags});
    }
    return out;
}

void notify(const Http2Stream& stream) {
    if (stream.changed) stream.changed();
}

std::size_t unread(const Http2Stream& stream) {
    std::size_t sum = 0;
    for (const auto& block : stream.in) sum += block.size();
    return sum;
}

void append(Http2Stream& stream, std::string_view bytes) {
    if (stream.in.empty() || stream.in.back().size() + bytes.size() > kBlock) stream.in.emplace_back();
    stream.in.back().append(bytes);
}

void* zeroed(std::size_t count, std::size_t size, void*) { return std::calloc(count, size); }

/// It copies the fields of a head, secrets among them.
nghttp2_mem wiped_heap() {
    return {nullptr, [](std::size_t size, void*) { return std::malloc(size); },
            [](void* block, void*) { wipe_and_free(block); }, zeroed,
            [](void* block, std::size_t size, void*) { return wiping_realloc(block, size); }};
}

struct OptionFree {
    void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};
struct CallbacksFree {
    void operator()(nghttp2_session_callbacks* callbacks) const { nghttp2_session_callbacks_del(callbacks); }
};

}  // namespace

struct Http2Session::Callbacks {
    static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }

    static bool begins_head(const nghttp2_frame& frame) { return frame.hd.type == NGHTTP2_HEADERS; }

    static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        if (!begins_head(*frame)) return 0;
        auto& me = self(user);
        me.head_ = {};
        me.head_bytes_ = 0;
        me.head_stream_ = frame->hd.stream_id;
        if (me.role_ == Role::server && frame->headers.cat == NGHTTP2_HCAT_REQUEST) me.add_stream(frame->hd.stream_id);
        return 0;
    }

    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                         const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
        if (!begins_head(*frame)) return 0;
        auto& me = self(user);
        me.head_bytes_ += name_size + value_size + 4;  // as text: ": " and the line's end
        // What is too large is not kept, and told at the end of the head; a bomb ends the connection.
        if (me.head_bytes_ > 8 * wire::kMaxHeadBytes) return NGHTTP2_ERR_CALLBACK_FAILURE;
        if (me.head_bytes_ > wire::kMaxHeadBytes || me.head_.fields.size() >= wire::kMaxFields) return 0;
        me.head_.fields.push_back(
            {{reinterpret_cast<const char*>(name), name_size}, {reinterpret_cast<const char*>(value), value_size}});
        return 0;
    }

    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        auto& me = self(user);
        if (frame->hd.type == NGHTTP2_GOAWAY) me.going_away_ = true;
        if (frame->hd.type == NGHTTP2_HEADERS) me.head_stream_ = 0;
        auto* stream = me.stream(frame->hd.stream_id);
        if (!stream) return 0;
        const bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (frame->hd.type == NGHTTP2_HEADERS) me.take_head(*stream, frame->headers.cat == NGHTTP2_HCAT_REQUEST, ended);
        const bool of_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
        if (of_message && ended) stream->in_ended = true;
        if (frame->hd.type == NGHTTP2_RST_STREAM) stream->reset_code = frame->rst_stream.error_code;
        notify(*stream);
        return 0;
    }

    static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                       void* user) {
        auto& me = self(user);
        if (auto* stream = me.stream(id); stream && !stream->given_up)
            append(*stream, {reinterpret_cast<const char*>(data), size});
        else nghttp2_session_consume(me.session_.get(), id, size);
        return 0;
    }

    static int on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        auto* stream = self(user).stream(frame->hd.stream_id);
        const bool of_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
        if (!stream || !of_message) return 0;
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
            stream->out_sent = true;
            if (stream->given_up && !stream->in_ended) self(user).reset(*stream, NGHTTP2_NO_ERROR);
        }
        notify(*stream);
        return 0;
    }

    /// A request that was not sent any more, since the peer is going away.
    static int on_frame_not_sent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
        auto& me = self(user);
        if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
        return on_close(me.session_.get(), frame->hd.stream_id, NGHTTP2_REFUSED_STREAM, user);
    }

    static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
        auto& me = self(user);
        if (me.head_stream_ == id) me.head_stream_ = 0;  // it was malformed
        const auto found = me.streams_.find(id);
        if (found == me.streams_.end()) return 0;
        const auto stream = found->second;
        me.streams_.erase(found);
        if (!(stream->in_ended && stream->out_sent)) {
            stream->failure =
                Error{ErrorKind::io, std::string("the stream was reset (") + nghttp2_http2_strerror(code) + ")"};
            stream->untouched = code == NGHTTP2_REFUSED_STREAM;
            if (stream->untouched) stream->reset_code = code;
        }
        stream->closed = true;
        std::erase(me.requests_, stream);  // that nobody has begun to serve
        notify(*stream);
        return 0;
    }

    /// nghttp2 asks for the next part of a body.
    static ssize_t read_out(nghttp2_session* session, std::int32_t id, std::uint8_t* into, std::size_t room,
                            std::uint32_t* flags, nghttp2_data_source*, void* user) {
        auto* stream = self(user).stream(id);
        if (!stream) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        if (stream->out.empty() && !stream->out_ended) return NGHTTP2_ERR_DEFERRED;
        const auto n = std::min(room, stream->out.size());
        std::memcpy(into, stream->out.data(), n);
        stream->out.erase(0, n);
        if (stream->out.empty() && stream->out_ended) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            if (!stream->out_trailers.empty()) {
                const auto trailers = name_values(stream->out_trailers);
                if (nghttp2_submit_trailer(session, id, trailers.data(), trailers.size()) == 0)
                    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            }
        }
        return static_cast<ssize_t>(n);
    }

    static std::unique_ptr<nghttp2_session_callbacks, CallbacksFree> all() {
        nghttp2_session_callbacks* made = nullptr;
        if (nghttp2_session_callbacks_new(&made) != 0) throw std::bad_alloc();
        nghttp2_session_callbacks_set_on_begin_headers_callback(made, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(made, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data);
        nghttp2_session_callbacks_set_on_frame_send_callback(made, on_frame_sent);
        nghttp2_session_callbacks_set_on_frame_not_send_callback(made, on_frame_not_sent);
        nghttp2_session_callbacks_set_on_stream_close_callback(made, on_close);
        return std::unique_ptr<nghttp2_session_callbacks, CallbacksFree>(made);
    }
};

Http2Session::Http2Session(Role role, const Http2Limits& limits) : role_(role) {
    nghttp2_option* made_option = nullptr;
    if (nghttp2_option_new(&made_option) != 0) throw std::bad_alloc();
    const std::unique_ptr<nghttp2_option, OptionFree> option(made_option);
    nghttp2_option_set_no_auto_window_update(option.get(), 1);
    nghttp2_option_set_no_closed_streams(option.get(), 1);
    nghttp2_option_set_max_send_header_block_length(option.get(), kMaxSentHead);
    const auto callbacks = Callbacks::all();
    nghttp2_session* made = nullptr;
    const auto make = role == Role::server ? nghttp2_session_server_new3 : nghttp2_session_client_new3;
    auto heap = wiped_heap();  // copied
    if (make(&made, callbacks.get(), this, option.get(), &heap) != 0) throw std::bad_alloc();
    session_.reset(made);

    std::vector<nghttp2_settings_entry> settings{
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<std::uint32_t>(limits.stream_window)},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streams},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(wire::kMaxHeadBytes)}};
    if (role == Role::client) {
        settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
    } else {
        settings.push_back({NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1});
        settings.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
    }
    nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(made, NGHTTP2_FLAG_NONE, 0, limits.connection_window);
}

Http2Session::~Http2Session() = default;

Error Http2Session::failed(int code) {
    if (code == NGHTTP2_ERR_BAD_CLIENT_MAGIC) return Error{ErrorKind::malformed, "not HTTP/2, though it was agreed on"};
    return Error{ErrorKind::malformed, std::string("HTTP/2: ") + nghttp2_strerror(code)};
}

Result<void> Http2Session::receive(std::string_view bytes) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    const auto done = nghttp2_session_mem_recv(session_.get(), data, bytes.size());
    if (done < 0) return failed(static_cast<int>(done));
    return {};
}

Result<std::string_view> Http2Session::next_output() {
    const std::uint8_t* data = nullptr;
    const auto size = nghttp2_session_mem_send(session_.get(), &data);
    if (size < 0) return failed(static_cast<int>(size));
    return std::string_view(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
}

bool Http2Session::finished() const {
    return !nghttp2_session_want_read(session_.get()) && !nghttp2_session_want_write(session_.get());
}

Http2Session::StreamPtr Http2Session::add_stream(std::int32_t id) {
    auto stream = std::make_shared<Http2Stream>();
    stream->id = id;
    streams_.emplace(id, stream);
    return stream;
}

Http2Stream* Http2Session::stream(std::int32_t id) {
    const auto found = streams_.find(id);
    return found == streams_.end() ? nullptr : found->second.get();
}

/// The first head of a server's stream is the request, the heads of a client's stream are a response's up to the final
/// one; what comes behind those are trailers.
void Http2Session::take_head(Http2Stream& stream, bool is_request, bool ended) {
    head_.too_large = head_bytes_ > wire::kMaxHeadBytes || head_.fields.size() >= wire::kMaxFields;
    if (stream.final_head_came) {
        if (head_.too_large) return reset(stream, NGHTTP2_ENHANCE_YOUR_CALM);
        stream.trailers = std::move(head_.fields);
        return;
    }
    const bool interim = !head_.fields.empty() && !is_request && head_.fields.front().value.starts_with('1');
    stream.final_head_came = !interim;
    head_.ended = ended;
    if (interim && stream.heads.size() >= kMaxInterimHeads) return reset(stream, NGHTTP2_ENHANCE_YOUR_CALM);
    stream.heads.push_back(std::move(head_));
    if (is_request) requests_.push_back(streams_.at(stream.id));
}

Http2Session::StreamPtr Http2Session::take_request() {
    if (requests_.empty()) return nullptr;
    auto stream = std::move(requests_.front());
    requests_.pop_front();
    return stream;
}

bool Http2Session::accepts_requests() const {
    if (going_away_ || !nghttp2_session_check_request_allowed(session_.get())) return false;
    const auto most = nghttp2_session_get_remote_settings(session_.get(), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return streams_.size() < std::min(most, kMaxRequests);
}

Result<void> Http2Session::submit_request(const StreamPtr& stream, const wire::Fields& head) {
    const auto fields = name_values(head);
    const nghttp2_data_provider body{{}, Callbacks::read_out};
    const bool no_body = stream->out_ended && stream->out.empty() && stream->out_trailers.empty();
    const auto id = nghttp2_submit_request(session_.get(), nullptr, fields.data(), fields.size(),
                                           no_body ? nullptr : &body, nullptr);
    if (id < 0) return failed(id);
    stream->id = id;
    streams_.emplace(id, stream);
    return {};
}

Result<void> Http2Session::submit_response(Http2Stream& stream, const wire::Fields& head) {
    const auto fields = name_values(head);
    const nghttp2_data_provider body{{}, Callbacks::read_out};
    const bool no_body = stream.out_ended && stream.out.empty() && stream.out_trailers.empty();
    const int code =
        nghttp2_submit_response(session_.get(), stream.id, fields.data(), fields.size(), no_body ? nullptr : &body);
    if (code != 0) return failed(code);
    return {};
}

Result<void> Http2Session::submit_interim(Http2Stream& stream, const wire::Fields& head) {
    const auto fields = name_values(head);
    const int code = nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, stream.id, nullptr, fields.data(),
                                            fields.size(), nullptr);
    if (code < 0) return failed(code);
    return {};
}

void Http2Session::resume(Http2Stream& stream) { nghttp2_session_resume_data(session_.get(), stream.id); }

void Http2Session::consume(Http2Stream& stream, std::size_t bytes) {
    if (bytes > 0) nghttp2_session_consume(session_.get(), stream.id, bytes);
}

void Http2Session::give_up(Http2Stream& stream) {
    if (std::exchange(stream.given_up, true)) return;
    consume(stream, unread(stream));
    stream.in.clear();
}

void Http2Session::reset(Http2Stream& stream, std::uint32_t code) {
    give_up(stream);
    if (stream.closed || stream.id == 0 || std::exchange(stream.reset_sent, true)) return;
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream.id, code);
}

void Http2Session::release(Http2Stream& stream) {
    if (role_ == Role::client) return reset(stream, NGHTTP2_CANCEL);
    if (!stream.out_ended) return reset(stream, NGHTTP2_INTERNAL_ERROR);
    if (stream.out_sent && !stream.in_ended) return reset(stream, NGHTTP2_NO_ERROR);
    give_up(stream);
}

void Http2Session::shut_down() {
    const auto last = nghttp2_session_get_last_proc_stream_id(session_.get());
    nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0);
}

void Http2Session::fail(const Error& reason, bool idempotent_ok) {
    going_away_ = true;
    for (const auto& [id, stream] : std::exchange(streams_, {})) {
        stream->closed = true;
        if (stream->in_ended && stream->out_sent) continue;
        stream->failure = reason;
        stream->untouched = idempotent_ok && stream->heads.empty() && !stream->final_head_came;
        notify(*stream);
    }
    requests_.clear();
}

}  // namespace sallyport::http
