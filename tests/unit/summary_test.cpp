#include "gateway/audit/summary.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sallyport::audit;

namespace {

RequestEvent request(const std::string& host, Decision decision, const std::string& reason = "") {
    RequestEvent event;
    event.host = host;
    event.decision = decision;
    event.reason = reason;
    return event;
}

bool printable(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); });
}

}  // namespace

TEST_CASE("summary: nothing happened") { CHECK(Summary().render() == "sallyport: 0 requests allowed, 0 refused\n"); }

TEST_CASE("summary: what was allowed and refused, the most frequent first") {
    Summary summary;
    summary.add(request("b.example", Decision::allow));
    for (int i = 0; i < 10; ++i) summary.add(request("api.example", Decision::allow));
    for (int i = 0; i < 2; ++i) summary.add(request("evil.example", Decision::deny, "no rule allows GET /"));
    NameEvent name;
    name.name = "tracker.example";
    summary.add(name);
    PacketEvent packet;
    packet.packet_class = "udp";
    packet.count = 4;
    summary.add(packet);
    CHECK(summary.render() ==
          "sallyport: 11 requests allowed (api.example 10, b.example 1), 2 refused, 1 name not resolved, 4 packets "
          "rejected\n"
          "  refused evil.example (2): no rule allows GET /\n"
          "  not resolved tracker.example (1)\n"
          "  rejected udp (4)\n");
}

TEST_CASE("summary: alarms come first") {
    Summary summary;
    auto event = request("evil.example", Decision::deny, "refused");
    event.alarm = "placeholder of secret anthropic";
    summary.add(event);
    const auto text = summary.render();
    CHECK(text.find("ALARM evil.example (1): placeholder of secret anthropic") < text.find("refused evil.example"));
}

TEST_CASE("summary: a connection without a name is counted under its address") {
    Summary summary;
    ConnectionEvent event;
    event.original_dst = {{sallyport::IpAddress::v4({192, 0, 2, 1}), 22}};
    event.reason = "no rule";
    summary.add(event);
    CHECK(summary.render().find("refused 192.0.2.1:22 (1): no rule\n") != std::string::npos);
}

TEST_CASE("summary: hostile names cannot forge lines or move the cursor") {
    Summary summary;
    summary.add(request("x 9), 0 refused\nsallyport: \x1b[2J", Decision::allow));
    summary.add(
        request("\xe2\x80\xae"
                "evil",
                Decision::deny, "line\nsallyport: fine\x1b[0m"));
    const auto text = summary.render();
    CHECK(printable(text));
    CHECK(std::count(text.begin(), text.end(), '\n') == 2);
    CHECK(text.find("(x?9???0?refused?sallyport:???2J 1)") != std::string::npos);
    CHECK(text.find("line\\u000asallyport") != std::string::npos);
}

TEST_CASE("summary: many names are bounded in memory and in text, and still add up") {
    Summary summary;
    for (int i = 0; i < 5000; ++i)
        summary.add(request("h" + std::to_string(i) + ".example", Decision::deny, std::string(5000, 'x')));
    const auto text = summary.render();
    CHECK(text.size() < 8000);
    CHECK(text.find(", 5000 refused") != std::string::npos);
    CHECK(text.find("refused others (4990)") != std::string::npos);
}
