#include "gateway/audit/table.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sallyport::audit;

namespace {

RequestEvent request(const std::string& host, const std::string& method, const std::string& path, Decision decision) {
    RequestEvent event;
    event.host = host;
    event.port = 443;
    event.method = method;
    event.path = path;
    event.decision = decision;
    event.rule = decision == Decision::allow ? "policy.toml:3" : "";
    return event;
}

NameEvent looked_up(const std::string& name, bool would_deny) {
    NameEvent event;
    event.name = name;
    event.would_deny = would_deny;
    return event;
}

std::size_t lines(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("table: nothing happened") {
    CHECK(table_text(Ledger()).empty());
    CHECK(table_markdown(Ledger(), true) == "\n### Sallyport: 0 allowed, 0 denied\n\n");
    CHECK_FALSE(Ledger().denied_anything());
}

TEST_CASE("table: what was denied comes first, paths of one kind share a row") {
    Ledger ledger;
    for (const char* path : {"/issues/1", "/issues/2?page=3"})
        ledger.add(request("api.test", "GET", path, Decision::allow));
    CHECK_FALSE(ledger.denied_anything());
    ledger.add(request("evil.test", "POST", "/drop", Decision::deny));
    CHECK(ledger.denied_anything());
    CHECK(table_text(ledger) ==
          "  decision  host       method  path       count  rule\n"
          "  denied    evil.test  POST    /drop          1  -\n"
          "  allowed   api.test   GET     /issues/*      2  policy.toml:3\n");
    CHECK(table_markdown(ledger, true) ==
          "\n### Sallyport: 2 allowed, 1 denied\n\n"
          "| decision | host | method | path | count | rule |\n|---|---|---|---|---:|---|\n"
          "| denied | `evil.test` | `POST` | `/drop` | 1 | - |\n"
          "| allowed | `api.test` | `GET` | `/issues/*` | 2 | `policy.toml:3` |\n\n");
}

TEST_CASE("table: an audit run says that nothing was enforced, and counts what would have been denied as denied") {
    Ledger ledger;
    auto event = request("api.test", "GET", "/", Decision::allow);
    event.would_deny = true;
    ledger.add(event);
    ledger.add(looked_up("api.test", true));  // the connection says it already
    ledger.add(looked_up("only.test", true));
    CHECK(ledger.denied_anything());
    const auto text = table_text(ledger);
    CHECK(text.find("would deny  api.test   GET") != text.npos);
    CHECK(text.find("would deny  only.test  DNS") != text.npos);
    CHECK(lines(text) == 3);
    const auto markdown = table_markdown(ledger, false);
    CHECK(markdown.find("**Audit mode: nothing was enforced.**") != markdown.npos);
    CHECK(markdown.find("0 allowed, 3 would be denied, 0 denied") != markdown.npos);
}

TEST_CASE("table: an alarm is on top, whatever was decided") {
    Ledger ledger;
    ledger.add(request("a.test", "GET", "/", Decision::deny));
    auto event = request("z.test", "GET", "/", Decision::deny);
    event.alarm = "placeholder of secret key";
    ledger.add(event);
    const auto text = table_text(ledger);
    CHECK(text.find("ALARM") < text.find("denied"));
    CHECK(ledger.denied_anything());
}

TEST_CASE("table: hostile texts cannot add rows, columns, markup or control characters") {
    Ledger ledger;
    const std::string hostile =
        "x` |\n| allowed | <img src=//e.test> [a](http://e.test) \x1b[2J \\ \xe2\x80\xae $`$ <!-- ```\n";
    ledger.add(request(hostile, hostile, "/" + hostile, Decision::deny));
    ConnectionEvent connection;
    connection.host = hostile;
    connection.protocol = "tls";
    ledger.add(connection);
    ledger.add(looked_up(hostile, false));
    PacketEvent packet;
    packet.packet_class = hostile;
    packet.destination = hostile;
    ledger.add(packet);
    const auto text = table_text(ledger);
    CHECK(lines(text) == 5);
    const auto markdown = table_markdown(ledger, true);
    CHECK(lines(markdown) == 10);
    for (const auto& out : {text, markdown}) {
        CHECK(std::all_of(out.begin(), out.end(), [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); }));
        CHECK(out.find_first_of("<>\\$") == out.npos);
        CHECK(out.find("``") == out.npos);
    }
    for (std::size_t at = markdown.find("| denied"); at != markdown.npos; at = markdown.find("| denied", at + 1)) {
        const auto row = markdown.substr(at, markdown.find('\n', at) - at);
        CHECK(std::count(row.begin(), row.end(), '|') == 7);
        CHECK(std::count(row.begin(), row.end(), '`') % 2 == 0);
    }
}

TEST_CASE("table: many rows are bounded, and still add up") {
    Ledger ledger;
    for (int i = 0; i < 10'000; ++i) ledger.add(request("h" + std::to_string(i) + ".test", "GET", "/", Decision::deny));
    CHECK(ledger.entries().size() == Ledger::kMaxKeys);
    CHECK(ledger.total(Outcome::denied) == 10'000);
    const auto text = table_text(ledger);
    CHECK(lines(text) == 62);
    CHECK(text.find("denied    (others)") != text.npos);
    CHECK(text.find(" 9940  -\n") != text.npos);
    CHECK(table_markdown(ledger, true).size() < 40'000);
}
