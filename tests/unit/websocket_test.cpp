#include "gateway/http/websocket.hpp"

#include <doctest/doctest.h>

#include "gateway/wire/http2_head.hpp"

using namespace sallyport;
using namespace sallyport::http;

namespace {

wire::RequestHead handshake() {
    wire::RequestHead head;
    head.method = "GET";
    head.upgrade = "websocket";
    head.fields = {{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
    return head;
}

wire::ResponseHead answer(wire::Fields fields) {
    wire::ResponseHead head;
    head.status = 101;
    head.fields = std::move(fields);
    return head;
}

const wire::Field kUpgrade{"Upgrade", "websocket"};
const wire::Field kConnection{"Connection", "Upgrade"};
const wire::Field kAccept{"Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="};

}  // namespace

TEST_CASE("websocket: the example of RFC 6455, section 1.3") {
    CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    CHECK(check_switch(handshake(), answer({kUpgrade, kConnection, kAccept})).has_value());
    const wire::Field other_case{"upgrade", "WebSocket"};
    const wire::Field listed{"connection", "keep-alive, upgrade"};
    CHECK(check_switch(handshake(), answer({other_case, listed, kAccept})).has_value());
}

TEST_CASE("websocket: a switch that was not asked for, or is not the one, opens nothing") {
    CHECK(check_switch({}, answer({kUpgrade, kConnection, kAccept})).has_error());
    const wire::Field wrong{"Sec-WebSocket-Accept", "dGhlIHNhbXBsZSBub25jZQ=="};
    const wire::Field lower{"Sec-WebSocket-Accept", "s3pplmbitxaq9kygzzhzrbk+xoo="};
    const wire::Field other{"Upgrade", "h2c"};
    const wire::Field both{"Upgrade", "websocket, h2c"};
    const wire::Field silent{"Connection", "keep-alive"};
    const wire::Fields rows[] = {{},
                                 {kUpgrade, kConnection},
                                 {kUpgrade, kAccept},
                                 {kConnection, kAccept},
                                 {kUpgrade, kConnection, wrong},
                                 {kUpgrade, kConnection, lower},
                                 {kUpgrade, kConnection, kAccept, wrong},
                                 {other, kConnection, kAccept},
                                 {both, kConnection, kAccept},
                                 {kUpgrade, other, kConnection, kAccept},
                                 {kUpgrade, silent, kAccept}};
    for (const auto& fields : rows) {
        CAPTURE(fields.size());
        CHECK(check_switch(handshake(), answer(fields)).has_error());
    }
}

TEST_CASE("websocket: of the subprotocols the origin chooses one that the client wrote, not a secret that was put in") {
    auto request = handshake();
    request.offered = "chat, key.placeholder,super,";
    request.fields.push_back({"Sec-WebSocket-Protocol", "chat, key.the-real-one,super"});
    const auto chosen = [&](const std::string& protocol) {
        const wire::Field field{"sec-websocket-protocol", protocol};
        return check_switch(request, answer({kUpgrade, kConnection, kAccept, field}));
    };
    CHECK(chosen("chat").has_value());
    CHECK(chosen("super").has_value());
    for (const char* wrong : {"key.the-real-one", "chat, super", "other", ""}) {
        CAPTURE(wrong);
        REQUIRE(chosen(wrong).has_error());
        CHECK(chosen(wrong).error().detail.find("real") == std::string::npos);
    }
}

TEST_CASE("websocket over h2: an extended CONNECT is a GET that asks for a switch, and the switch is a 200") {
    const wire::Fields asked{{":method", "CONNECT"}, {":protocol", "WebSocket"}, {":scheme", "https"},
                             {":path", "/chat"},     {":authority", "api.test"}, {"sec-websocket-version", "13"}};
    const auto head = wire::request_from_http2(asked, false, "https");
    REQUIRE(head.has_value());
    CHECK(head->method == "GET");
    CHECK(head->target == "/chat");
    CHECK(head->upgrade == "websocket");
    CHECK(head->body.kind == wire::Framing::none);
    CHECK(wire::find(head->fields, "Host") == "api.test");
    CHECK(wire::request_from_http2(asked, false, "http").has_error());
    const auto with = [&](std::size_t at, const std::string& value) {
        auto fields = asked;
        fields[at].value = value;
        return wire::request_from_http2(fields, false, "https");
    };
    CHECK(with(1, "connect-udp")->upgrade == "connect-udp");  // for the gate to refuse
    CHECK(with(1, "").has_error());
    auto with_length = asked;
    with_length.push_back({"content-length", "0"});
    CHECK(wire::request_from_http2(with_length, true, "https").has_error());
    // Without :protocol it is what it always was.
    const wire::Fields plain{{":method", "CONNECT"}, {":authority", "api.test:443"}};
    CHECK(wire::request_from_http2(plain, false, "https")->method == "CONNECT");
    CHECK(wire::request_from_http2(plain, false, "https")->upgrade == "");

    auto switched =
        answer({kUpgrade, kConnection, kAccept, {"Sec-WebSocket-Protocol", "chat"}, {"Content-Length", "0"}});
    const auto fields = wire::http2_fields(switched);
    REQUIRE(fields.size() == 2);
    CHECK(wire::find(fields, ":status") == "200");
    CHECK(wire::find(fields, "sec-websocket-protocol") == "chat");
}

TEST_CASE("websocket: a key is sixteen bytes that nobody had before") {
    CHECK(websocket_key().size() == 24);
    CHECK(websocket_key().ends_with("=="));
    CHECK(websocket_key() != websocket_key());
}
