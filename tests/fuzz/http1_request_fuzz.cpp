// A request reads the same however it is split, and what is written from it reads the same again, to its last byte,
// also to a parser that is not ours.

#include <cstdint>

#include "gateway/http/http1_writer.hpp"
#include "tests/fuzz/http1_feed.hpp"
#include "tests/fuzz/second_reader.hpp"

using namespace sallyport;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto first = fuzz::feed_in_all_ways<true>({reinterpret_cast<const char*>(data), size}, false, false);
    if (!first) return 0;
    wire::RequestHead head = first->head;
    wire::remove_connection_fields(head.fields);  // as the gate does
    std::string text = http::request_text(head);
    const std::string_view body = first->body;
    http::append_body(text, head.body.kind, {&body, 1});
    http::append_body_end(text, head.body.kind, first->trailers);

    auto second = fuzz::feed<true>(text, text.size() + 1, false, false);
    require(second.has_value() && second->rest.empty());
    require(second->head.method == head.method && second->head.target == head.target && second->body == first->body);
    require(second->head.body.kind == head.body.kind && second->head.minor_version == 1 && second->head.keep_alive);
    wire::erase(second->head.fields, "Transfer-Encoding");
    require(fuzz::same(second->head.fields, head.fields));
    fuzz::require_second_reading(text, head, body, false);
    return 0;
}
