#pragma once
// A second opinion on HTTP/1.1 messages: http_parser, which Node.js had and libgit2 and others have. Our own parser is
// built on Beast's; the two have no code in common.

#include <http_parser.h>

#include <string>
#include <string_view>
#include <vector>

#include "gateway/wire/http_message.hpp"
#include "tests/fuzz/require.hpp"

namespace sallyport::fuzz {

struct SecondReading {
    std::string target;
    unsigned status = 0;
    wire::Fields fields, trailers;
    std::string body;
};

/// The messages that it finds in `text`, one behind the other; nothing when it refuses any of them.
class SecondReader {
public:
    explicit SecondReader(http_parser_type type, bool to_head = false) : to_head_(to_head) {
        http_parser_init(&parser_, type);
        parser_.data = this;
        http_parser_set_max_header_size(1 << 20);  // as much as we may write
    }

    std::vector<SecondReading> read(std::string_view text) {
        http_parser_settings settings;
        http_parser_settings_init(&settings);
        settings.on_message_begin = [](http_parser* p) {
            self(p).messages_.emplace_back();
            self(p).head_done_ = false;
            return 0;
        };
        settings.on_url = [](http_parser* p, const char* at, size_t n) {
            self(p).messages_.back().target.append(at, n);
            return 0;
        };
        settings.on_header_field = [](http_parser* p, const char* at, size_t n) { return self(p).add_name({at, n}); };
        settings.on_header_value = [](http_parser* p, const char* at, size_t n) { return self(p).add_value({at, n}); };
        settings.on_headers_complete = [](http_parser* p) {
            self(p).head_done_ = true;
            self(p).in_name_ = false;
            self(p).messages_.back().status = p->status_code;
            return self(p).to_head_ || p->status_code == 304
                       ? 1
                       : 0;  // 1: no body, whatever the fields say; its callers do so
        };
        settings.on_body = [](http_parser* p, const char* at, size_t n) {
            self(p).messages_.back().body.append(at, n);
            return 0;
        };
        settings.on_message_complete = [](http_parser* p) {
            ++self(p).complete_;
            self(p).in_name_ = false;
            return 0;
        };
        const auto used = http_parser_execute(&parser_, &settings, text.data(), text.size());
        if (HTTP_PARSER_ERRNO(&parser_) == HPE_OK && !parser_.upgrade)
            http_parser_execute(&parser_, &settings, nullptr, 0);
        const bool whole = HTTP_PARSER_ERRNO(&parser_) == HPE_OK && complete_ == messages_.size();
        if (!whole || used != text.size()) messages_.clear();
        return std::move(messages_);
    }

private:
    static SecondReader& self(http_parser* parser) { return *static_cast<SecondReader*>(parser->data); }
    wire::Fields& fields() { return head_done_ ? messages_.back().trailers : messages_.back().fields; }

    int add_name(std::string_view part) {
        if (!in_name_) fields().emplace_back();
        in_name_ = true;
        fields().back().name += part;
        return 0;
    }
    int add_value(std::string_view part) {
        in_name_ = false;
        fields().back().value += part;
        return 0;
    }

    http_parser parser_;
    const bool to_head_;
    std::vector<SecondReading> messages_;
    std::size_t complete_ = 0;
    bool head_done_ = false;
    bool in_name_ = false;
};

/// It takes a field whose name only begins so for the one it knows, and refuses the message for it.
inline bool has_odd_name(const wire::Fields& fields) {
    constexpr std::string_view kKnown = "transfer-encoding";
    return std::any_of(fields.begin(), fields.end(), [&](const auto& field) {
        return wire::equal_ignoring_case(std::string_view(field.name).substr(0, kKnown.size()), kKnown);
    });
}

/// It reads the one request that `text` is meant to be, and behind it the next: the two end where we say. `must_read`:
/// it has no reason to refuse it, since the target is normalised.
inline void require_second_reading(const std::string& text, const wire::RequestHead& head, std::string_view body,
                                   bool must_read) {
    constexpr std::string_view kNext = "GET /next HTTP/1.1\r\nHost: next\r\n\r\n";
    // It knows a list of methods; framing does not depend on them. After an upgrade it leaves the rest to others.
    const std::string known = "POST" + text.substr(text.find(' '));
    const bool upgrades = !head.upgrade.empty();
    const auto read = SecondReader(HTTP_REQUEST).read(upgrades ? known : known + std::string(kNext));
    if (read.empty() && (!must_read || has_odd_name(head.fields))) return;
    require(read.size() == (upgrades ? 1 : 2));
    require(read[0].target == head.target && read[0].body == body);
    require(upgrades ? body.empty() : read[1].target == "/next" && read[1].fields.size() == 1);
    for (const auto& field : head.fields) {
        require(wire::count(read[0].fields, field.name) == wire::count(head.fields, field.name));
        require(wire::find(read[0].fields, field.name) == wire::find(head.fields, field.name));
    }
}

/// The same for a response to a client that keeps its connection.
inline void require_second_reading(const std::string& text, const wire::ResponseHead& head, std::string_view body,
                                   bool to_head) {
    constexpr std::string_view kNext = "HTTP/1.1 204 next\r\nX-Next: 1\r\n\r\n";
    const auto read = SecondReader(HTTP_RESPONSE, to_head).read(text + std::string(kNext));
    if (read.empty() && has_odd_name(head.fields)) return;
    require(read.size() == 2 && read[0].status == head.status && read[0].body == body && read[1].status == 204);
    for (const auto& field : head.fields)
        require(wire::find(read[0].fields, field.name) == wire::find(head.fields, field.name));
}

}  // namespace sallyport::fuzz
