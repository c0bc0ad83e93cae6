#include "gateway/audit/json_line.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "gateway/audit/events.hpp"

using namespace sallyport::audit;
using namespace std::string_literals;

TEST_CASE("json: keys in order, one line") {
    std::string text = "before ";
    JsonLine line(text);
    line.text("a", "x").number("b", 18446744073709551615u).boolean("c", false).texts("d", {}).texts("e", {"1", "2\""});
    line.optional_text("f", "");
    line.finish();
    CHECK(text ==
          "before {\"a\":\"x\",\"b\":18446744073709551615,\"c\":false,\"d\":[],\"e\":[\"1\",\"2\\\"\"]}\n");
}

TEST_CASE("json: nothing that a client sends leaves printable ASCII or its string") {
    CHECK(json_escape("a\"b\\c/d") == "a\\\"b\\\\c/d");
    CHECK(json_escape("\r\n\t\x1b[2J\x7f\0"s) == "\\u000d\\u000a\\u0009\\u001b[2J\\u007f\\u0000");
    CHECK(json_escape("\xc3\xa4\xe2\x80\xae\xf0\x9f\x98\x80") == "\\u00e4\\u202e\\ud83d\\ude00");
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    const auto escaped = json_escape(all);
    CHECK(std::all_of(escaped.begin(), escaped.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
}

TEST_CASE("json: bytes that are no UTF-8 become the replacement character") {
    for (const auto* bytes : {"\xff", "\xc3", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                              "\xf8\x88\x80\x80\x80", "\x80", "\xe2\x80"}) {
        const auto escaped = json_escape(bytes);
        CHECK(escaped.substr(0, 6) == "\\ufffd");
        CHECK(escaped.size() == 6 * std::string_view(bytes).size());
    }
    CHECK(json_escape("\xe2\x80\"") == "\\ufffd\\ufffd\\\"");
}

TEST_CASE("json: long texts are cut, and the line says so under a key of its own") {
    std::string text;
    JsonLine line(text);
    line.text("path", "/" + std::string(5000, 'a')).finish();
    CHECK(text.size() < 2100);
    CHECK(text.find("\",\"path_length\":5001}") != std::string::npos);
}

TEST_CASE("audit event: a refused request, whole") {
    RequestEvent event;
    event.time = Time(std::chrono::milliseconds(1'769'847'330'042));
    event.rule = "sallyport.toml:12";
    event.reason = "no rule allows POST /gists";
    event.client = {{sallyport::IpAddress::v4({127, 0, 0, 1}), 40000}};
    event.original_dst = {{sallyport::IpAddress::v4({198, 18, 1, 1}), 443}};
    event.host = "api.github.com";
    event.port = 443;
    event.scheme = "https";
    event.method = "POST";
    event.path = "/gists\",\"decision\":\"allow";
    event.status = 403;
    event.bytes = {10, 20};
    event.duration = std::chrono::milliseconds(7);
    event.secrets = {"github"};
    event.alarm = "placeholder";
    CHECK(
        to_json(event) ==
        "{\"time\":\"2026-01-31T08:15:30.042Z\",\"event\":\"request\",\"decision\":\"deny\",\"rule\":\"sallyport.toml:"
        "12\","
        "\"reason\":\"no rule allows POST /gists\",\"client\":\"127.0.0.1:40000\",\"original_dst\":\"198.18.1.1:443\","
        "\"host\":\"api.github.com\",\"port\":443,\"scheme\":\"https\",\"method\":\"POST\","
        "\"path\":\"/gists\\\",\\\"decision\\\":\\\"allow\",\"status\":403,\"bytes_out\":10,\"bytes_in\":20,"
        "\"duration_ms\":7,\"secrets\":[\"github\"],\"alarm\":\"placeholder\"}\n");
}

TEST_CASE("audit event: connection, name and packet") {
    ConnectionEvent connection;
    connection.decision = Decision::allow;
    connection.protocol = "tls";
    CHECK(to_json(connection).find("\"event\":\"connection\",\"decision\":\"allow\"") != std::string::npos);
    NameEvent name;
    name.time = Time(std::chrono::seconds(0));
    name.name = "evil.example\n";
    name.type = 28;
    name.reason = "no rule";
    CHECK(to_json(name) ==
          "{\"time\":\"1970-01-01T00:00:00.000Z\",\"event\":\"name\",\"decision\":\"deny\",\"name\":\"evil."
          "example\\u000a\","
          "\"type\":28,\"reason\":\"no rule\"}\n");
    PacketEvent packet;
    packet.packet_class = "udp";
    packet.count = 3;
    CHECK(to_json(packet).find("\"class\":\"udp\",\"count\":3}\n") != std::string::npos);
}
