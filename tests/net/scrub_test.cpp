// What comes back from a host that has a secret, for every pair of HTTP versions: the value never, in no form.

#include <fmt/format.h>

#include <cstdlib>

#include "gateway/http/content_coding.hpp"
#include "gateway/secrets/base64.hpp"
#include "gateway/session/edited_end.hpp"
#include "tests/support/protocol_pair.hpp"
#include "tests/support/proxy_ground.hpp"
#include "tests/support/sanitized.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

const std::string kValue = "real-Value-0123456789/ABCDEF";
const std::string kPlaceholder = "placeholder-of-k";

std::string secret_for(const std::string& host) {
    ::setenv("SALLYPORT_TEST_SCRUBBED", kValue.c_str(), 1);
    return fmt::format(
        "[[secret]]\nname = \"k\"\nhost = \"{}\"\nheader = \"x-api-key\"\nplaceholder = \"{}\"\n"
        "value = {{ env = \"SALLYPORT_TEST_SCRUBBED\" }}\n",
        host, kPlaceholder);
}

struct Echo {
    explicit Echo(Versions versions, const std::string& host = ProtocolPair::kName)
        : pair(versions, secret_for(host)) {}

    /// The head that the origin got.
    MessageHead ask(const MessageHead& head = request("GET", "/")) {
        client = pair.client();
        client->send_head(head, true);
        origin = pair.origin();
        return origin->read_head();
    }
    void answer(const MessageHead& head, const std::vector<std::string>& pieces, const Fields& trailers = {}) {
        origin->send_head(head, false);
        for (const auto& piece : pieces) origin->send_body(piece);
        origin->send_end(trailers);
    }

    ProtocolPair pair;
    MessageEndPtr client, origin;
};

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string encoded(http::Coding coding, const std::string& text) {
    std::string out;
    http::make_encoder(coding)->put(text, true, out);
    return out;
}

std::string decoded(http::Coding coding, std::string_view text, bool whole = true) {
    std::string out;
    const auto decoder = http::make_decoder(coding);
    for (std::size_t before = 1; before != out.size() || !text.empty();) {
        before = out.size();
        REQUIRE(decoder->run(text, out));
    }
    if (whole) CHECK(decoder->complete());
    return out;
}

const std::pair<const char*, http::Coding> kCodings[] = {{"gzip", http::Coding::gzip},
                                                         {"x-gzip", http::Coding::gzip},
                                                         {"deflate", http::Coding::deflate},
                                                         {"br", http::Coding::brotli},
                                                         {"zstd", http::Coding::zstd}};

}  // namespace

SITUATION("scrub: what the origin echoes in head, body and trailers comes back as the placeholder") {
    Echo echo(versions);
    CHECK(echo.ask().field("x-api-key") == kValue);
    const auto half = kValue.substr(0, 10), rest = kValue.substr(10);
    echo.origin->send_head(response(103, {{"link", "</" + kValue + ">"}}), false);
    echo.answer(
        response(200, {{"x-echo", "Key " + kValue},
                       {"x-" + kValue.substr(0, 21), "1"},
                       {"location", "https://elsewhere.test/?k=real-Value-0123456789%2FABCDEF"},
                       {"set-cookie", "basic=" + secrets::base64_encode("user:" + kValue)}}),
        {"one " + half, rest + R"( {"k": "real-Value-0123456789\/ABCDEF"} )", "REAL-VALUE-", "0123456789%2fabcdef."},
        {{"x-trailer", kValue}});
    CHECK(echo.client->read_head().field("link") == "</" + kPlaceholder + ">");
    const auto head = echo.client->read_head();
    CHECK(head.status == 200);
    CHECK(head.field("x-echo") == "Key " + kPlaceholder);
    CHECK(head.field("location") == "https://elsewhere.test/?k=" + kPlaceholder);
    CHECK(head.field("set-cookie") == "basic=" + secrets::base64_encode("user:" + kPlaceholder));
    const auto got = echo.client->read_rest();
    CHECK(got.whole);
    CHECK(holds(got.body, R"({"k": ")" + kPlaceholder + "\"}"));
    CHECK(got.body.ends_with(kPlaceholder + "."));
    CHECK_FALSE(holds(got.body, rest));
    CHECK_FALSE(holds(got.body, "0123456789"));
    REQUIRE(got.trailers.size() == 1);
    CHECK(got.trailers[0].second == kPlaceholder);
    const auto events = echo.pair.gateway().finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["scrubbed"] == nlohmann::json::array({"k"}));
    CHECK_FALSE(holds(events[0].dump(), "real-Value"));
}

SITUATION("scrub: a name of a header field that holds the value is left out") {
    Echo echo(versions);
    ::setenv("SALLYPORT_TEST_SCRUBBED", "real-value-that-is-a-token", 1);
    ProtocolPair pair(versions,
                      "[[secret]]\nname = \"k\"\nhost = \"origin.test\"\nheader = \"x-api-key\"\n"
                      "value = { env = \"SALLYPORT_TEST_SCRUBBED\" }\n");
    const auto client = pair.client();
    client->send_head(request("GET", "/"), true);
    const auto origin = pair.origin();
    origin->read_head();
    origin->send_head(response(200, {{"x-real-value-that-is-a-token", "1"}, {"x-echo", "real-value-that-is-a-token"}}),
                      true);
    const auto head = client->read_head();
    CHECK(head.field("x-echo") == "[secret k]");
    for (const auto& [name, value] : head.fields) CHECK_FALSE(holds(name, "real-value"));
}

SITUATION("scrub: a small body keeps an exact length, a larger one goes without") {
    Echo echo(versions);
    echo.ask();
    const auto small = "<" + kValue + ">";
    echo.answer(
        response(200, {{"content-length", std::to_string(small.size())}, {"content-md5", "x"}, {"etag", "\"e\""}}),
        {small});
    auto head = echo.client->read_head();
    CHECK(head.field("content-length") == std::to_string(kPlaceholder.size() + 2));
    CHECK(head.field("etag") == "\"e\"");
    CHECK_FALSE(head.has("content-md5"));
    auto rest = echo.client->read_rest();
    CHECK(rest.whole);
    CHECK(rest.body == "<" + kPlaceholder + ">");

    echo.ask();
    std::string large(200'000, 'r');
    large.replace(150'000, kValue.size(), kValue);
    echo.answer(response(200, {{"content-length", std::to_string(large.size())}}), {large});
    head = echo.client->read_head();
    CHECK_FALSE(head.has("content-length"));
    rest = echo.client->read_rest();
    CHECK(rest.whole);
    CHECK(rest.body == large.replace(150'000, kValue.size(), kPlaceholder));
}

SITUATION("scrub: answers without a body keep what they say, but for digests of one: HEAD, 204, 304") {
    Echo echo(versions);
    const auto head_of = [&](const char* method, const MessageHead& answer) {
        echo.ask(request(method, "/"));
        echo.origin->send_head(answer, true);
        auto head = echo.client->read_head();
        CHECK(echo.client->read_rest().body.empty());
        return head;
    };
    auto head = head_of(
        "HEAD",
        response(200,
                 {{"content-length", "1000"}, {"digest", "d"}, {"repr-digest", "sha-256=:d:"}, {"content-md5", "d"}}));
    CHECK(head.field("content-length") == "1000");
    // They are of a body with the value in it, which can be guessed by them.
    for (const auto* name : {"digest", "repr-digest", "content-md5"}) CHECK_FALSE(head.has(name));
    // So does the length of a compressed one with what was sent in it: the more of the value that is, the shorter.
    head = head_of("HEAD", response(200, {{"content-length", "1000"}, {"content-encoding", "br"}}));
    CHECK(head.field("content-encoding") == "br");
    CHECK_FALSE(head.has("content-length"));
    CHECK_FALSE(head_of("GET", response(304, {{"repr-digest", "sha-256=:d:"}})).has("repr-digest"));
    CHECK(head_of("GET", response(204, {{"x-echo", kValue}})).field("x-echo") == kPlaceholder);
    CHECK(head_of("GET", response(304, {{"etag", "\"e\""}})).field("etag") == "\"e\"");
}

SITUATION("scrub: a compressed body is decoded, scrubbed and encoded again") {
    Echo echo(versions);
    std::string text;
    for (int i = 0; i < 20'000; ++i)
        text += fmt::format("{} {} ", i * 7919 % 10'007, i % 1000 == 0 ? kValue : "and on");
    std::string clean = text;
    for (std::size_t at; (at = clean.find(kValue)) != std::string::npos;)
        clean.replace(at, kValue.size(), kPlaceholder);
    for (const auto& known : kCodings) {
        const std::string name = known.first;
        const auto coding = known.second;
        CAPTURE(name);
        const auto asked = echo.ask(request("GET", "/", {{"accept-encoding", name}}));
        CHECK(asked.field("accept-encoding") == name);
        const auto body = encoded(coding, text);
        std::vector<std::string> pieces;
        for (std::size_t at = 0; at < body.size(); at += 1009) pieces.push_back(body.substr(at, 1009));
        echo.answer(response(200, {{"content-encoding", name}, {"content-length", std::to_string(body.size())}}),
                    pieces);
        const auto head = echo.client->read_head();
        CHECK(head.field("content-encoding") == name);
        const auto rest = echo.client->read_rest();
        CHECK(rest.whole);
        const bool right =
            !head.has("content-length") || head.field("content-length") == std::to_string(rest.body.size());
        CHECK(right);  // one that is small enough to be read whole has one
        CHECK(decoded(coding, rest.body) == clean);
    }
}

SITUATION("scrub: events arrive as they come, compressed or not") {
    Echo echo(versions);
    echo.ask();
    echo.origin->send_head(response(200, {{"content-type", "text/event-stream"}}), false);
    CHECK(echo.client->read_head().status == 200);
    for (const std::string event : {"data: r\n\n", "data: re", "al\n\n"}) {
        echo.origin->send_body(event);
        CHECK(echo.client->read_body(event.size()) == event);
    }
    echo.origin->send_end();
    CHECK(echo.client->read_rest().whole);
    for (const auto& known : kCodings) {
        const std::string name = known.first;
        const auto coding = known.second;
        CAPTURE(name);
        echo.ask();
        echo.origin->send_head(response(200, {{"content-encoding", name}}), false);
        CHECK(echo.client->read_head().status == 200);
        const auto encoder = http::make_encoder(coding);
        const auto decoder = http::make_decoder(coding);
        std::string text, piece;
        encoder->put("data: 1\n\n", false, piece);
        echo.origin->send_body(piece);
        while (text.size() < 9) {  // nothing more was sent
            const auto byte = echo.client->read_body(1);
            REQUIRE(byte.size() == 1);
            std::string_view in = byte;
            REQUIRE(decoder->run(in, text));
        }
        CHECK(text == "data: 1\n\n");
        piece.clear();
        encoder->put("data: 2\n\n", true, piece);
        echo.origin->send_body(piece);
        echo.origin->send_end();
        const auto rest = echo.client->read_rest();
        CHECK(rest.whole);
        for (std::string_view in = rest.body; !in.empty();) REQUIRE(decoder->run(in, text));
        CHECK(text == "data: 1\n\ndata: 2\n\n");
    }
}

SITUATION("scrub: what cannot be read is withheld, and the answer says why") {
    Echo echo(versions);
    for (const auto& field : Fields{{"content-encoding", "compress"},
                                    {"content-encoding", "gzip, br"},
                                    {"content-encoding", "aes128gcm"},
                                    {"grpc-encoding", "gzip"},
                                    {"content-type", "text/plain;charset=UTF-16"},
                                    {"content-type", "application/json; charset=\"IBM037\""}}) {
        CAPTURE(field.second);
        echo.ask();
        echo.origin->send_head(response(200, {field}), false);
        echo.origin->send_body(kValue);
        const auto head = echo.client->read_head();
        CHECK(head.status == 502);
        const auto rest = echo.client->read_rest();
        CHECK(holds(rest.body, "encoding"));
        CHECK_FALSE(holds(rest.body, "real-Value"));
        echo.origin.reset();
    }
}

SITUATION("scrub: a part of an answer is withheld, since half of a value is none") {
    Echo echo(versions);
    for (const unsigned status : {206u, 226u}) {
        echo.ask(request("GET", "/", {{"x-ms-range", "bytes=0-5"}}));
        echo.origin->send_head(response(status, {{"content-range", "bytes 0-5/28"}, {"content-length", "6"}}), false);
        echo.origin->send_body(kValue.substr(0, 6));
        CHECK(echo.client->read_head().status == 502);
        const auto rest = echo.client->read_rest();
        CHECK(holds(rest.body, "a part that it was not asked for"));
        CHECK_FALSE(holds(rest.body, "real-V"));
        echo.origin.reset();
    }
}

SITUATION("scrub: while a bomb is searched others are served, and it is never there as a whole") {
    constexpr int kMegabytes = 48;
    Echo echo(versions);
    echo.ask();
    auto other = echo.pair.gateway().tls_client("origin.test", echo.pair.origins().port(), "http/1.1");
    std::string bomb;
    const auto encoder = http::make_encoder(http::Coding::zstd);
    for (int i = 0; i < kMegabytes; ++i) encoder->put(std::string(1 << 20, '\0'), i == kMegabytes - 1, bomb);
    REQUIRE(bomb.size() < session::kMostWhole);
    const auto memory = resident_bytes();
    echo.answer(response(200, {{"content-encoding", "zstd"}, {"content-length", std::to_string(bomb.size())}}), {bomb});
    // The answer to one who does not go on to the origin is enough: it is the same thread that gives it.
    int served = 0;
    while (echo.client->silent_for(0)) {
        other.send("GET / HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n");
        REQUIRE(other.read_message().starts_with("HTTP/1.1 421 "));
        ++served;
    }
    CHECK(served > 20);
    if (!kSanitized) CHECK(resident_bytes() < memory + 32 * 1024 * 1024);
    CHECK(echo.client->read_head().status == 200);
    const auto rest = echo.client->read_rest();
    CHECK(rest.whole);
    CHECK(rest.body.size() < 2 * session::kMostWhole);
}

SITUATION("scrub: who guesses a value by what is held back is found out, and gets nothing more from its hosts") {
    Echo echo(versions);
    const std::string alarm =
        "somebody is guessing the value of secret k: its responses are withheld until the policy is reloaded";
    const auto half = kValue.size() / 2;
    std::size_t known = 3;
    // As if every byte took one wrong guess, and then the right one, which is held back.
    for (; known < half + 4; ++known) {
        CAPTURE(known);
        echo.ask();
        echo.origin->send_head(response(200), false);
        CHECK(echo.client->read_head().status == 200);
        echo.origin->send_body(kValue.substr(0, known) + "!");
        const auto got = echo.client->read_body(1);
        CHECK(got.size() == 1);
        echo.origin->send_body(kValue);
        echo.origin->send_end();
        CHECK(echo.client->read_rest().whole);
    }
    echo.ask();
    echo.origin->send_head(response(200), false);
    CHECK(echo.client->read_head().status == 200);
    echo.origin->send_body("one " + kValue.substr(0, known) + "!");
    const auto rest = echo.client->read_rest();
    CHECK_FALSE(rest.whole);
    CHECK_FALSE(holds(rest.body, "!"));

    echo.pair.leave();
    const auto client = echo.pair.client();
    client->send_head(request("GET", "/"), true);
    CHECK(client->read_head().status == 403);
    CHECK(holds(client->read_rest().body, alarm));
    CHECK(echo.pair.origins().nothing_for(100));
    ::setenv("SALLYPORT_TEST_SCRUBBED", kValue.c_str(), 1);
    echo.pair.gateway().replace_policy(echo.pair.policy());
    echo.ask();
    echo.answer(response(200), {"served"});
    CHECK(echo.client->read_head().status == 200);
    CHECK(echo.client->read_rest().body == "served");
    const auto events = echo.pair.gateway().finish();
    REQUIRE(events.size() > 3);
    CHECK(events.at(events.size() - 3)["alarm"] == alarm);
    CHECK(events.at(events.size() - 2)["alarm"] == alarm);
    CHECK(events.at(events.size() - 2)["decision"] == "deny");
    CHECK_FALSE(events.back().contains("alarm"));
}

SITUATION("scrub: a body that is not what its Content-Encoding says is cut") {
    Echo echo(versions);
    echo.ask();
    echo.origin->send_head(response(200, {{"content-encoding", "gzip"}}), false);
    CHECK(echo.client->read_head().status == 200);
    echo.origin->send_body(kValue);
    const auto rest = echo.client->read_rest();
    CHECK_FALSE(rest.whole);
    CHECK(rest.body.empty());
}

SITUATION("scrub: the origin is asked for the whole, in codings that can be read") {
    Echo echo(versions);
    auto asked = echo.ask(request("GET", "/",
                                  {{"accept-encoding", "gzip;q=0.5, sdch, *;q=0.1, zstd"},
                                   {"range", "bytes=0-0"},
                                   {"request-range", "bytes=0-0"},
                                   {"if-range", "\"e\""},
                                   {"a-im", "gzip"},
                                   {"grpc-accept-encoding", "identity, gzip"}}));
    CHECK(asked.field("accept-encoding") == "gzip;q=0.5, zstd");
    CHECK(asked.field("grpc-accept-encoding") == "identity");
    CHECK_FALSE(asked.has("range"));
    for (const auto* name : {"request-range", "if-range", "a-im"}) CHECK_FALSE(asked.has(name));
    echo.origin->send_head(response(200), true);
    CHECK(echo.client->read_head().status == 200);
    CHECK(echo.client->read_rest().whole);
    CHECK(echo.ask(request("GET", "/", {{"accept-encoding", "compress"}})).field("accept-encoding") == "identity");
}

SITUATION("scrub: a host without secrets is asked as the client asks, and answers as it answers") {
    Echo echo(versions, "elsewhere.test");
    const auto asked = echo.ask(request("GET", "/", {{"accept-encoding", "sdch, *"}, {"range", "bytes=0-0"}}));
    CHECK(asked.field("accept-encoding") == "sdch, *");
    CHECK(asked.field("range") == "bytes=0-0");
    echo.answer(response(206, {{"content-encoding", "sdch"}, {"content-length", "3"}, {"digest", "d"}}), {"abc"});
    const auto head = echo.client->read_head();
    CHECK(head.status == 206);
    CHECK(head.field("content-length") == "3");
    CHECK(head.field("digest") == "d");
    CHECK(echo.client->read_rest().body == "abc");
    CHECK_FALSE(echo.pair.gateway().finish().at(0).contains("scrubbed"));
}
