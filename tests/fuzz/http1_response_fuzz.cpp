// A response reads the same however it is split, and the client reads from what is written what the origin meant, also
// by a parser that is not ours.

#include <cstdint>

#include "gateway/http/http1_writer.hpp"
#include "tests/fuzz/http1_feed.hpp"
#include "tests/fuzz/second_reader.hpp"

using namespace sallyport;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const bool to_head = data[0] & 1;
    const int minor_version = (data[0] >> 1) & 1;
    const auto first =
        fuzz::feed_in_all_ways<false>({reinterpret_cast<const char*>(data + 1), size - 1}, to_head, true);
    if (!first || first->head.status < 100) return 0;
    wire::ResponseHead head = first->head;
    const auto framing = http::client_framing(head, minor_version);
    std::string text = http::response_text(head, framing, minor_version, framing.kind == wire::Framing::until_close);
    const std::string_view body = first->body;
    http::append_body(text, framing.kind, {&body, 1});
    http::append_body_end(text, framing.kind, first->trailers);

    const auto second = fuzz::feed<false>(text, text.size() + 1, to_head, true);
    require(second.has_value() && second->rest.empty());
    require(second->head.status == head.status && second->body == first->body && second->head.reason == head.reason);
    require(second->head.body.kind == framing.kind);
    if (framing.kind != wire::Framing::until_close && !head.is_interim())
        fuzz::require_second_reading(text, head, body, to_head);
    return 0;
}
