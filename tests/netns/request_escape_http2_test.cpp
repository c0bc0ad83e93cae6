// HTTP/2 towards an origin of HTTP/1.1: nothing that a frame may hold becomes a line, a message or another authority
// there. And the other way round: what is agreed on in the handshake is what is spoken.

#include <doctest/doctest.h>

#include "tests/support/attempts.hpp"
#include "tests/support/http2_peer.hpp"

using namespace sallyport::test;
using namespace std::string_literals;

namespace {

const Fields kGet{{":method", "GET"}, {":scheme", "https"}, {":authority", "api.test"}, {":path", "/open/x"}};
const Fields kPost{{":method", "POST"}, {":scheme", "https"}, {":authority", "api.test"}, {":path", "/open/x"}};

Fields with(const std::string& name, const std::string& value, Fields fields = kGet) {
    for (auto& [known, old] : fields)
        if (known == name) old = value;
    return fields;
}

Fields without(const std::string& name, Fields fields = kGet) {
    std::erase_if(fields, [&](const Field& field) { return field.first == name; });
    return fields;
}

Fields and_also(const Fields& more, Fields fields = kGet) {
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
}

/// A request on a stream of its own; DATA and trailers where there are some.
struct Message {
    std::string what;
    Fields head;
    std::string arrives;
    std::string audited;
    std::string body = {};
    Fields trailers = {};
};

bool over(Http2Peer& peer, std::uint32_t stream) {
    return peer.wait_for([&] {
        const auto& it = peer.stream(stream);
        return it.ended || it.reset || peer.goaway_code();
    });
}

void try_each(const std::vector<Message>& messages) {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    for (const auto& message : messages) {
        Http2Peer peer(ground->tls("api.test", "h2"), Http2Peer::Role::client);
        peer.start();
        const auto stream = peer.new_stream();
        const bool more = !message.body.empty() || !message.trailers.empty();
        peer.send_fields(stream, message.head, !more);
        if (more) ground->wait_for(message.arrives.substr(0, message.arrives.find("\r\n\r\n") + 4));
        if (!message.body.empty()) peer.send_data(stream, message.body, message.trailers.empty());
        if (!message.trailers.empty()) peer.send_fields(stream, message.trailers, true);
        over(peer, stream);
        ground->judge(peer.wire(), {message.what, "", message.arrives, message.audited});
    }
    ground->settle();
}

/// A stream error of the protocol, before there is a request.
void reset_each(const std::vector<std::pair<std::string, Fields>>& heads) {
    std::vector<Message> messages;
    for (const auto& [what, head] : heads) messages.push_back({what, head, "", ""});
    try_each(messages);
}

}  // namespace

TEST_CASE("request escape: line ends, NUL and spaces in the fields of HTTP/2 never become lines of HTTP/1.1") {
    const std::string lines = " HTTP/1.1\r\nHost: api.test\r\n\r\nGET /shut";
    reset_each({
        {"CRLF in a value", and_also({{"x", "y\r\nX-Smuggled: yes"}})},
        {"LF in a value", and_also({{"x", "y\nX-Smuggled: yes"}})},
        {"CR in a value", and_also({{"x", "y\rX-Smuggled: yes"}})},
        {"NUL in a value", and_also({{"x", "y\0z"s}})},
        {"CRLF in a name", and_also({{"x: y\r\nx-smuggled", "yes"}})},
        {"a colon in a name", and_also({{"x: y", "z"}})},
        {"a space in a name", and_also({{"x y", "z"}})},
        {"a name in upper case", and_also({{"Transfer-Encoding", "chunked"}})},
        {"an empty name", and_also({{"", "z"}})},
        {"lines in :path", with(":path", "/open/x" + lines)},
        {"a space in :path", with(":path", "/open/x HTTP/1.1")},
        {"NUL in :path", with(":path", "/open/x\0"s)},
        {"lines in :method", with(":method", "GET /shut HTTP/1.1\r\nHost: api.test\r\n\r\nGET")},
        {"a space in :method", with(":method", "GET /shut")},
        {"lines in :authority", with(":authority", "api.test\r\nX-Smuggled: yes")},
        {"lines in :scheme", with(":scheme", "https\r\nX: y")},
        {"connection", and_also({{"connection", "close"}})},
        {"transfer-encoding", and_also({{"transfer-encoding", "chunked"}})},
        {"upgrade", and_also({{"upgrade", "h2c"}})},
        {"keep-alive", and_also({{"keep-alive", "1"}})},
        {"proxy-connection", and_also({{"proxy-connection", "close"}})},
        {"te beyond trailers", and_also({{"te", "trailers, chunked"}})},
    });
}

TEST_CASE("request escape: pseudo-headers twice, late, missing or unknown are no request") {
    reset_each({
        {":path twice", and_also(without(":method"), {{":method", "GET"}, {":path", "/shut"}})},
        {":method twice", and_also(kGet, {{":method", "DELETE"}})},
        {":authority twice", and_also(kGet, {{":authority", "evil.test"}})},
        {":scheme twice", and_also(kGet, {{":scheme", "http"}})},
        {":path behind a field", and_also({{"x", "y"}, {":path", "/open/x"}}, without(":path"))},
        {"a second :path behind a field", and_also({{"x", "y"}, {":path", "/shut"}})},
        {"no :path", without(":path")},
        {"an empty :path", with(":path", "")},
        {"no :method", without(":method")},
        {"no :scheme", without(":scheme")},
        {"no :authority and no Host", without(":authority")},
        {"one of answers", and_also(kGet, {{":status", "200"}})},
        {"an unknown one", and_also(kGet, {{":host", "evil.test"}})},
        {":protocol without CONNECT", and_also(kGet, {{":protocol", "websocket"}})},
        {"two lengths", and_also({{"content-length", "0"}, {"content-length", "5"}})},
        {"a length list", and_also({{"content-length", "0, 0"}})},
        {"a length with a sign", and_also({{"content-length", "+0"}})},
        {"a length without its body", and_also({{"content-length", "5"}})},
    });
}

TEST_CASE("request escape: authority, scheme and path of a stream are those of its connection, or it is refused") {
    const auto get = request("GET /open/x");
    try_each({
        {":authority of another host", with(":authority", "evil.test"), "",
         "deny 421 api.test GET /open/x: this connection was made for api.test, the request is for evil.test"},
        {":authority of another allowed host", with(":authority", "plain.test"), "", "deny 421"},
        {":authority with another port", with(":authority", "api.test:80"), "", "deny 421"},
        {"Host beside :authority", and_also({{"host", "evil.test"}}), "", "deny 400"},
        {"Host twice beside :authority", and_also({{"host", "api.test"}, {"host", "evil.test"}}), "", ""},
        {"Host for :authority, another's", and_also({{"host", "evil.test"}}, without(":authority")), "",
         "the request is for evil.test"},
        {"Host for :authority", and_also({{"host", "api.test"}}, without(":authority")),
         "GET /open/x HTTP/1.1\r\nhost: api.test\r\n\r\n", "allow 200"},
        {"the same Host beside :authority", and_also({{"host", "API.test"}}), get, "allow 200"},
        {":scheme of plain HTTP", with(":scheme", "http"), "", "deny 400"},
        {":scheme of another protocol", with(":scheme", "ftp"), "", "deny 400"},
        {":path that is a URL of another host", with(":path", "https://evil.test/open/x"), "", ""},
        {":path with an authority", with(":path", "//evil.test/open/x"), "", "deny 403 api.test GET /evil.test/open/x"},
        {":method by another name", and_also({{"x-http-method-override", "DELETE"}}), "", "deny 403"},
        {"TRACE", with(":method", "TRACE"), "", "deny 405"},
        {"CONNECT", {{":method", "CONNECT"}, {":authority", "evil.test:443"}}, "", "deny 405"},
        {"CONNECT to this host", {{":method", "CONNECT"}, {":authority", "api.test:443"}}, "", "deny 405"},
        {"CONNECT with a length",
         {{":method", "CONNECT"}, {":authority", "api.test:443"}, {"content-length", "0"}},
         "",
         "deny 405"},
        {"CONNECT with a path", with(":method", "CONNECT"), "", ""},
        {"CONNECT for another protocol", and_also(kGet, {{":protocol", "connect-udp"}}), "", ""},
        {"extended CONNECT for another protocol", and_also(with(":method", "CONNECT"), {{":protocol", "connect-udp"}}),
         "", "deny 501"},
        {"a field that CGI reads as Content-Length", and_also({{"content_length", "5"}}), "", "deny 400"},
        {"bytes beyond ASCII in a value", and_also({{"x", "\xc3\xa9"}}), request("GET /open/x", "x: \xc3\xa9\r\n"),
         "allow 200"},
    });
}

TEST_CASE("request escape: a body has the length that was announced, and trailers stay trailers") {
    const auto head = request("POST /open/x", "Transfer-Encoding: chunked\r\n");
    const auto whole = head + "5\r\nhello\r\n0\r\n\r\n";
    const std::string smuggled = "0\r\n\r\n" + request("GET /shut");
    try_each({
        {"a body longer than its length", and_also({{"content-length", "2"}}, kPost),
         request("POST /open/x", "content-length: 2\r\n"), "allow 0 api.test POST /open/x: allowed, ended", "hello"},
        {"a body shorter than its length", and_also({{"content-length", "50"}}, kPost),
         request("POST /open/x", "content-length: 50\r\n", "hello"), "POST /open/x: allowed, ended", "hello"},
        {"a body that looks like the end of chunks", kPost, head + "2b\r\n" + smuggled + "\r\n0\r\n\r\n", "allow 200",
         smuggled},
        {"a GET with a body that is a request", kGet,
         request("GET /open/x", "Transfer-Encoding: chunked\r\n") + "2b\r\n" + smuggled + "\r\n0\r\n\r\n", "allow 200",
         smuggled},
        {"trailers that would be fields",
         kPost,
         whole,
         "allow 200",
         "hello",
         {{"host", "evil.test"},
          {"content-length", "5"},
          {"x-http-method-override", "DELETE"},
          {"authorization", "x"}}},
        {"a trailer that repeats a field",
         and_also({{"x-key", "1"}}, kPost),
         request("POST /open/x", "x-key: 1\r\nTransfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
         "allow 200",
         "hello",
         {{"x-key", "2"}, {"x_key", "3"}}},
        {"pseudo-headers in the trailers",
         kPost,
         head + "5\r\nhello\r\n",
         "allowed, ended",
         "hello",
         {{":path", "/shut"}}},
    });
}

TEST_CASE("request escape: each stream of a connection is judged for itself") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    Http2Peer peer(ground->tls("api.test", "h2"), Http2Peer::Role::client);
    peer.start();
    const auto get = request("GET /open/x");
    for (const auto& head : {kGet, with(":path", "/shut"), with(":authority", "plain.test"), kGet}) {
        const auto stream = peer.new_stream();
        peer.send_fields(stream, head, true);
        CHECK(over(peer, stream));
    }
    ground->judge(peer.wire(), {"four streams", "", get + get, "the request is for plain.test"});
    ground->settle();
}

TEST_CASE("request escape: another version than was agreed on is not served") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
    ground->attempt(ground->tls("api.test", "h2"), {"HTTP/1.1 where h2 was agreed on", request("GET /open/x"), "", ""});
    ground->attempt(ground->tls("api.test", "http/1.1"),
                    {"h2 where HTTP/1.1 was agreed on", preface + settings, "", "deny 400"});
    ground->attempt(ground->tls("api.test"), {"h2 where nothing was agreed on", preface + settings, "", "deny 400"});
    ground->settle();
}
