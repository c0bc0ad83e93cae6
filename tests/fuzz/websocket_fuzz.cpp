// A switch of protocols is taken only when the request asked for it and each reader of the response sees the same: one
// Upgrade, one answer to the key, and a subprotocol that was offered. Input: a request, a blank line, its response.

#include "gateway/http/http1_writer.hpp"
#include "gateway/http/websocket.hpp"
#include "gateway/wire/http2_head.hpp"
#include "tests/fuzz/http1_feed.hpp"
#include "tests/fuzz/http2_feed.hpp"
#include "tests/fuzz/second_reader.hpp"

using namespace sallyport;
using fuzz::require;

namespace {

/// Read with other eyes: raw text, no list of fields.
std::string values(const std::string& head, std::string_view name) {
    std::string all;
    std::string_view rest = head;
    for (auto line = fuzz::take_line(rest); !rest.empty(); line = fuzz::take_line(rest))
        if (wire::equal_ignoring_case(line.substr(0, line.find(':')), name))
            all.append(line.substr(std::min(line.find(':') + 2, line.size()))).append("\n");
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = fuzz::text(data, size);
    auto asked = fuzz::feed<true>(input, input.size() + 1, false, false);
    if (!asked) return 0;
    auto& request = asked->head;
    if (wire::has_token(request.fields, "Upgrade", "websocket")) request.upgrade = "websocket";  // as the gate does
    for (const auto& field : request.fields)
        if (wire::equal_ignoring_case(field.name, "Sec-WebSocket-Protocol")) request.offered += field.value + ",";
    wire::Http1Parser<false> parser;
    if (!parser.put(asked->rest) || !parser.head_done()) return 0;
    wire::ResponseHead response = parser.head();
    if (response.status != 101) return 0;
    const bool taken = http::check_switch(request, response).has_value();

    const std::string text = http::response_text(response, {}, 1, false);
    if (!taken) return 0;
    const auto key = wire::find(request.fields, "Sec-WebSocket-Key").value_or("");
    require(request.upgrade == "websocket");
    require(wire::equal_ignoring_case(values(text, "Upgrade"), "websocket\r\n"));
    require(values(text, "Connection") == "Upgrade\r\n");
    require(values(text, "Sec-WebSocket-Accept") == http::websocket_accept(key) + "\r\n");

    // The client sees the same switch, and nothing but it.
    wire::Http1Parser<false> again;
    require(again.put(text).has_value() && again.head_done());
    require(http::check_switch(request, again.head()).has_value());
    const auto fields = wire::http2_fields(response);
    require(fields.front().name == ":status" && fields.front().value == "200");
    fuzz::require_clean(wire::Fields(fields.begin() + 1, fields.end()));
    return 0;
}
