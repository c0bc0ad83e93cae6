#include "gateway/session/refusal_page.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "gateway/wire/http_fields.hpp"

using namespace sallyport;
using namespace sallyport::session;

TEST_CASE("refusal page: hostile bytes never appear raw, in text or JSON; the TOML stays whole") {
    Refusal refusal{
        403, {"evil.test", 443}, "GET\x1b[2J", "/a\r\nSet-Cookie: x=1\"<script>\x80", "why\n\x07", "f:1", "", ""};
    refusal.suggestion = "[[allow]]\nhost   = \"evil.test\"\n";
    const auto page = refusal_page(refusal, false, true);
    const auto& body = page.body;
    CHECK(page.head.status == 403);
    CHECK(wire::find(page.head.fields, "Content-Length") == std::to_string(body.size()));
    for (const auto& field : page.head.fields) CHECK(field.value.find('\n') == std::string::npos);
    for (const char c : body) CHECK(((c >= 0x20 && c < 0x7f) || c == '\n'));
    CHECK(body.find("\nSet-Cookie") == std::string::npos);
    CHECK(body.ends_with("\n" + refusal.suggestion));

    const auto parsed = nlohmann::json::parse(refusal_page(refusal, true, true).body);
    CHECK(parsed["error"]["allow_with"] == refusal.suggestion);
    for (const char c : std::string(parsed["error"]["path"])) CHECK((c >= 0x20 && c < 0x7f));

    Refusal endless{403, {"evil.test", 443}, std::string(100'000, 'M'), std::string(100'000, '/'), {}, {}, {}, {}};
    CHECK(refusal_page(endless, false, true).body.size() < 4096);
}

TEST_CASE("refusal page: every status that the gate uses has its phrase") {
    for (const unsigned status : {400u, 405u, 408u, 417u, 421u, 431u, 501u, 502u, 503u, 504u}) {
        Refusal refusal;
        refusal.status = status;
        CHECK(refusal_page(refusal, false, true).head.reason != "Forbidden");
    }
}

TEST_CASE("refusal page: a gRPC client gets it as the status of its call, a gRPC-Web client does not") {
    const Refusal refusal{403, {"api.test", 443}, "POST", "/p.S/M", "100 % no\r\n", "f:1", "", ""};
    const auto page = grpc_refusal(refusal, true);
    CHECK(page.head.status == 200);
    CHECK(page.body.empty());
    CHECK(wire::find(page.head.fields, "grpc-status") == "7");
    const std::string message(wire::find(page.head.fields, "grpc-message").value_or(""));
    CHECK(message.find("POST https://api.test/p.S/M%0A") != std::string::npos);
    CHECK(message.find("100 %25 no\\x0d\\x0a%0A") != std::string::npos);
    for (const char c : message) CHECK((c >= 0x20 && c < 0x7f));
    Refusal failed = refusal;
    failed.status = 502;
    CHECK(wire::find(grpc_refusal(failed, true).head.fields, "grpc-status") == "14");

    CHECK(is_grpc({{"content-type", "application/grpc"}}));
    CHECK(is_grpc({{"content-type", "application/grpc+proto"}}));
    CHECK_FALSE(is_grpc({{"content-type", "application/grpc-web"}}));
    CHECK_FALSE(is_grpc({{"content-type", "application/json"}}));
    CHECK_FALSE(is_grpc({}));
}
