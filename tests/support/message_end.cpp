#include "tests/support/message_end.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <stdexcept>

namespace sallyport::test {
namespace {

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

bool is_interim(unsigned status) { return status >= 100 && status < 200; }

/// Client or origin of HTTP/1.1. A connection has one such end after the other.
class Http1End : public MessageEnd {
public:
    Http1End(std::shared_ptr<WirePeer> wire, std::string authority)
        : wire_(std::move(wire)), authority_(std::move(authority)) {}

    void send_head(const MessageHead& head, bool last) override {
        std::string text = authority_.empty()
                               ? fmt::format("HTTP/1.1 {} Some Reason\r\n", head.status)
                               : fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", head.method, head.path, authority_);
        for (const auto& [name, value] : head.fields) text += name + ": " + value + "\r\n";
        if (!authority_.empty()) asked_with_head_ = head.method == "HEAD";
        chunked_ = !last && !head.has("content-length") && !is_interim(head.status);
        const bool bodiless = !authority_.empty() || asked_with_head_ || is_interim(head.status) ||
                              head.status == 204 || head.status == 304;
        if (chunked_) text += "Transfer-Encoding: chunked\r\n";
        if (last && !bodiless && !head.has("content-length")) text += "Content-Length: 0\r\n";
        wire_->send(text + "\r\n");
        sent_ = last;
    }

    void send_body(std::string_view piece) override {
        if (piece.empty()) return;
        wire_->send(chunked_ ? fmt::format("{:x}\r\n{}\r\n", piece.size(), piece) : std::string(piece));
    }

    void send_end(const Fields& trailers) override {
        sent_ = true;
        if (!chunked_) return;
        std::string text = "0\r\n";
        for (const auto& [name, value] : trailers) text += name + ": " + value + "\r\n";
        wire_->send(text + "\r\n");
    }

    void cut(std::uint32_t) override { wire_->close(); }

    std::size_t send_while_taken(std::size_t most, int milliseconds) override {
        constexpr std::size_t kPiece = 4096;  // what a socket that is writable takes without blocking
        std::size_t sent = 0;
        for (; sent < most && wire_->writable_within(milliseconds); sent += kPiece) send_body(std::string(kPiece, 'x'));
        return sent;
    }

    MessageHead read_head() override {
        const auto text = wire_->read_until("\r\n\r\n");
        if (!text.ends_with("\r\n\r\n")) throw std::runtime_error("cut before a head: " + text);
        MessageHead head;
        const auto line = text.substr(0, text.find("\r\n"));
        if (authority_.empty()) {
            const auto space = line.find(' ');
            head.method = line.substr(0, space);
            head.path = line.substr(space + 1, line.rfind(' ') - space - 1);
            asked_with_head_ = head.method == "HEAD";
        } else {
            head.status = static_cast<unsigned>(std::strtoul(line.c_str() + line.find(' '), nullptr, 10));
        }
        head.fields = fields_of(text.substr(line.size() + 2));
        decide_framing(head);
        return head;
    }

    std::string read_body(std::size_t bytes) override {
        while (body_.size() < bytes && more_of_body(bytes - body_.size())) {
        }
        auto out = body_.substr(0, bytes);
        body_.erase(0, out.size());
        return out;
    }

    MessageRest read_rest() override {
        while (more_of_body(65'536)) {
        }
        return {std::exchange(body_, {}), trailers_, ended_, 0};
    }

    bool is_cut() override { return wire_->closed(); }
    bool silent_for(int milliseconds) override { return body_.empty() && wire_->silent_for(milliseconds); }
    bool is_over() const override { return sent_ && ended_; }

private:
    static Fields fields_of(std::string_view text) {
        Fields fields;
        while (text.size() > 2) {
            const auto line = text.substr(0, text.find("\r\n"));
            const auto colon = line.find(':');
            const auto value = line.substr(std::min(line.find_first_not_of(' ', colon + 1), line.size()));
            fields.emplace_back(lower(std::string(line.substr(0, colon))), value);
            text.remove_prefix(line.size() + 2);
        }
        return fields;
    }

    void decide_framing(const MessageHead& head) {
        length_ = 0;
        until_close_ = false;
        reads_chunks_ = head.field("transfer-encoding") == "chunked";
        const bool bodiless = is_interim(head.status) || head.status == 204 || head.status == 304 ||
                              (!authority_.empty() && asked_with_head_);
        if (head.has("content-length") && !bodiless)
            length_ = std::strtoull(head.field("content-length").c_str(), nullptr, 10);
        else if (!reads_chunks_ && !bodiless && !authority_.empty()) until_close_ = true;
        ended_ = !is_interim(head.status) && !reads_chunks_ && !until_close_ && length_ == 0;
    }

    /// False: the body has ended, or is cut.
    bool more_of_body(std::size_t wanted) {
        if (ended_ || cut_) return false;
        if (reads_chunks_) return read_chunk();
        const auto part = wire_->read_exactly(until_close_ ? wanted : std::min(wanted, length_));
        body_ += part;
        if (!until_close_) length_ -= part.size();
        ended_ = until_close_ ? part.size() < wanted : length_ == 0;
        cut_ = part.empty() && !ended_;
        return !part.empty();
    }

    bool read_chunk() {
        const auto line = wire_->read_until("\r\n");
        const auto size = std::strtoull(line.c_str(), nullptr, 16);
        cut_ = !line.ends_with("\r\n");
        if (cut_) return false;
        if (size == 0) {
            std::string text;
            for (std::string field; (field = wire_->read_until("\r\n")) != "\r\n"; text += field)
                if (!field.ends_with("\r\n")) {
                    cut_ = true;
                    return false;
                }
            trailers_ = fields_of(text + "\r\n");
            ended_ = true;
            return false;
        }
        const auto chunk = wire_->read_exactly(size + 2);
        body_ += chunk.substr(0, size);
        cut_ = chunk.size() < size + 2;
        return !cut_;
    }

    std::shared_ptr<WirePeer> wire_;
    const std::string authority_;  ///< empty: an origin
    bool asked_with_head_ = false;
    bool chunked_ = false;  ///< what we send
    bool sent_ = false;
    bool reads_chunks_ = false;
    bool until_close_ = false;
    bool ended_ = false;
    bool cut_ = false;
    std::size_t length_ = 0;
    std::string body_;
    Fields trailers_;
};

class Http2End : public MessageEnd {
public:
    Http2End(std::shared_ptr<Http2Peer> peer, std::uint32_t id, std::string authority)
        : peer_(std::move(peer)), id_(id), authority_(std::move(authority)) {}

    void send_head(const MessageHead& head, bool last) override {
        Fields fields{{":status", std::to_string(head.status)}};
        if (!authority_.empty())
            fields = {{":method", head.method}, {":scheme", "https"}, {":authority", authority_}, {":path", head.path}};
        for (const auto& [name, value] : head.fields) fields.emplace_back(lower(name), value);
        peer_->send_fields(id_, fields, last);
    }

    void send_body(std::string_view piece) override { peer_->send_data(id_, piece, false); }

    void send_end(const Fields& trailers) override {
        if (trailers.empty()) peer_->send_data(id_, {}, true);
        else peer_->send_fields(id_, trailers, true);
    }

    void cut(std::uint32_t code) override { peer_->reset(id_, code); }

    std::size_t send_while_taken(std::size_t most, int milliseconds) override {
        return peer_->send_while_taken(id_, most, milliseconds);
    }

    MessageHead read_head() override {
        auto& stream = peer_->stream(id_);
        peer_->wait_for([&] { return !stream.blocks.empty() || stream.reset; });
        if (stream.blocks.empty())
            throw std::runtime_error(stream.reset ? fmt::format("reset with code {}", *stream.reset) : "closed");
        MessageHead head;
        for (auto& [name, value] : stream.blocks.front()) {
            if (name == ":status") head.status = static_cast<unsigned>(std::stoul(value));
            else if (name == ":method") head.method = value;
            else if (name == ":path") head.path = value;
            else if (name != ":scheme") head.fields.emplace_back(name == ":authority" ? "host" : name, value);
        }
        stream.blocks.pop_front();
        return head;
    }

    std::string read_body(std::size_t bytes) override {
        auto& stream = peer_->stream(id_);
        peer_->wait_for([&] { return stream.body.size() >= bytes || stream.ended || stream.reset; });
        auto out = stream.body.substr(0, bytes);
        stream.body.erase(0, out.size());
        return out;
    }

    MessageRest read_rest() override {
        auto& stream = peer_->stream(id_);
        peer_->wait_for([&] { return stream.ended || stream.reset; });
        MessageRest rest{std::exchange(stream.body, {}), {}, stream.ended, stream.reset.value_or(0)};
        if (!stream.blocks.empty()) rest.trailers = stream.blocks.front();
        return rest;
    }

    bool is_cut() override {
        auto& stream = peer_->stream(id_);
        return !peer_->wait_for([&] { return stream.reset.has_value(); }) || stream.reset;
    }

    /// Nothing for this stream: frames of the connection do not count.
    bool silent_for(int milliseconds) override {
        const auto& stream = peer_->stream(id_);
        const auto quiet = [&] {
            return stream.blocks.empty() && stream.body.empty() && !stream.ended && !stream.reset;
        };
        while (quiet() && !peer_->wire().silent_for(milliseconds))
            if (!peer_->next_frame()) return false;
        return quiet();
    }

    bool is_over() const override { return peer_->stream(id_).ended; }

private:
    std::shared_ptr<Http2Peer> peer_;
    const std::uint32_t id_;
    const std::string authority_;  ///< empty: an origin
};

}  // namespace

std::string MessageHead::field(std::string_view name) const {
    std::string all;
    for (const auto& [known, value] : fields)
        if (known == name) all += (all.empty() ? "" : " | ") + value;
    return all;
}

bool MessageHead::has(std::string_view name) const {
    return std::any_of(fields.begin(), fields.end(), [&](const Field& field) { return lower(field.first) == name; });
}

MessageHead request(std::string method, std::string path, Fields fields) {
    return {std::move(method), std::move(path), 0, std::move(fields)};
}

MessageHead response(unsigned status, Fields fields) { return {{}, {}, status, std::move(fields)}; }

MessageEndPtr http1_end(std::shared_ptr<WirePeer> wire, std::string authority) {
    return std::make_shared<Http1End>(std::move(wire), std::move(authority));
}

MessageEndPtr http2_end(std::shared_ptr<Http2Peer> peer, std::uint32_t stream, std::string authority) {
    return std::make_shared<Http2End>(std::move(peer), stream, std::move(authority));
}

}  // namespace sallyport::test
