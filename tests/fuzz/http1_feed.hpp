#pragma once
// Feeds a message to the parser as the reader does: a buffer that grows by pieces and is used up from the front.

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/wire/http1_parser.hpp"
#include "tests/fuzz/require.hpp"

namespace sallyport::fuzz {

inline bool same(const wire::Fields& a, const wire::Fields& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const auto& x, const auto& y) { return x.name == y.name && x.value == y.value; });
}

template <bool is_request>
struct Message {
    typename wire::Http1Parser<is_request>::Head head;
    std::string body;
    wire::Fields trailers;
    std::string_view rest;  ///< what came behind it
};

/// nullopt: refused or incomplete. `ended`: the peer closes behind the input.
template <bool is_request>
std::optional<Message<is_request>> feed(std::string_view input, std::size_t piece, bool no_body, bool ended) {
    wire::Http1Parser<is_request> parser(no_body);
    Message<is_request> message;
    std::size_t begin = 0;
    for (std::size_t end = 0; !parser.done();) {
        if (end == input.size()) {
            if (!ended || !parser.head_done() || !parser.put_end()) return std::nullopt;
            break;
        }
        end = std::min(input.size(), end + piece);
        for (std::size_t used = 1; used > 0 && !parser.done() && begin < end;) {
            const auto put = parser.put(input.substr(begin, end - begin));
            if (!put) return std::nullopt;
            used = *put;
            for (const auto text : parser.body()) message.body += text;
            begin += used;
        }
    }
    message.head = parser.head();
    message.trailers = parser.trailers();
    message.rest = input.substr(begin);
    return message;
}

/// Whole, and in pieces of several sizes: always the same.
template <bool is_request>
std::optional<Message<is_request>> feed_in_all_ways(std::string_view input, bool no_body, bool ended) {
    const auto whole = feed<is_request>(input, input.size() + 1, no_body, ended);
    for (const std::size_t piece : {1u, 2u, 7u, 100u}) {
        const auto split = feed<is_request>(input, piece, no_body, ended);
        require(split.has_value() == whole.has_value());
        if (!whole) continue;
        require(same(split->head.fields, whole->head.fields) && split->body == whole->body &&
                same(split->trailers, whole->trailers) && split->rest == whole->rest);
    }
    return whole;
}

}  // namespace sallyport::fuzz
