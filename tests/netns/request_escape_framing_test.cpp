// Request smuggling over HTTP/1.1: whatever a second reader could take for another message never leaves, or leaves as
// the one message that was judged.

#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/support/attempts.hpp"

using namespace sallyport::test;
using namespace std::string_literals;

namespace {

const std::string kSmuggled = request("GET /shut");

std::string post(const std::string& fields, const std::string& body) { return request("POST /open/x", fields, body); }

std::string chunked(const std::string& body) { return post("Transfer-Encoding: chunked\r\n", body); }

/// What has left by the time that a chunk is found to be broken.
const std::string kChunkedHead = chunked("");

void try_each(const std::vector<Attempt>& rows) {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    for (const auto& row : rows) ground->attempt(ground->tls(), row);
    ground->settle();
}

/// Refused whole: the body, which some reader takes for a request, is read by nobody.
void refuse_each(const std::vector<std::pair<std::string, std::string>>& attempts) {
    std::vector<Attempt> rows;
    for (const auto& [what, sent] : attempts) rows.push_back({what, sent, "", "deny 400"});
    try_each(rows);
}

}  // namespace

TEST_CASE(
    "request escape: CL.TE, TE.CL, TE.TE and lengths with two readings are refused, and what follows is not read") {
    const auto both = [](const std::string& fields) { return post(fields, "0\r\n\r\n" + kSmuggled); };
    const auto length = [](const std::string& field) { return post(field + "\r\n", "hello" + kSmuggled); };
    refuse_each({
        {"CL.TE", both("Content-Length: 50\r\nTransfer-Encoding: chunked\r\n")},
        {"TE.CL", both("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
        {"TE.TE", both("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")},
        {"TE.TE, same", both("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
        {"TE.TE, in one field", both("Transfer-Encoding: chunked, chunked\r\n")},
        {"TE identity", both("Transfer-Encoding: identity\r\n")},
        {"TE empty", both("Transfer-Encoding:\r\n")},
        {"TE unknown", both("Transfer-Encoding: xchunked\r\n")},
        {"TE in quotes", both("Transfer-Encoding: \"chunked\"\r\n")},
        {"TE with a parameter", both("Transfer-Encoding: chunked;a=b\r\n")},
        {"TE with a comma", both("Transfer-Encoding: chunked,\r\n")},
        {"TE behind a comma", both("Transfer-Encoding: ,chunked\r\n")},
        {"TE behind gzip", both("Transfer-Encoding: gzip, chunked\r\n")},
        {"TE behind a vertical tab", both("Transfer-Encoding: \vchunked\r\n")},
        {"TE with a NUL", both("Transfer-Encoding: chunked\0\r\n"s)},
        {"TE, space before colon", both("Transfer-Encoding : chunked\r\n")},
        {"TE, tab before colon", both("Transfer-Encoding\t: chunked\r\n")},
        {"TE with an underscore", both("Content-Length: 5\r\nTransfer_Encoding: chunked\r\n")},
        {"TE in a line that begins with a space", both(" Transfer-Encoding: chunked\r\n")},
        {"TE behind a bare CR", both("X: y\rTransfer-Encoding: chunked\r\n")},
        {"TE behind a bare LF", both("X: y\nTransfer-Encoding: chunked\r\n")},
        {"TE in HTTP/1.0",
         "POST /open/x HTTP/1.0\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + kSmuggled},
        {"CL twice, same", length("Content-Length: 5\r\nContent-Length: 5")},
        {"CL twice, other", length("Content-Length: 5\r\nContent-Length: 50")},
        {"CL list", length("Content-Length: 5, 5")},
        {"CL with a sign", length("Content-Length: +5")},
        {"CL negative", length("Content-Length: -5")},
        {"CL with a space inside", length("Content-Length: 5 0")},
        {"CL in hexadecimal", length("Content-Length: 0x5")},
        {"CL with a point", length("Content-Length: 5.0")},
        {"CL empty", length("Content-Length:")},
        {"CL beyond 64 bits", length("Content-Length: 18446744073709551621")},
        {"CL, space before colon", length("Content-Length : 5")},
        {"CL with an underscore", length("Content_Length: 5")},
    });
}

TEST_CASE("request escape: heads that are not lines of name, colon, value and CRLF are refused") {
    const auto with = [](const std::string& lines) { return "GET /open/x HTTP/1.1\r\n" + lines + "\r\n" + kSmuggled; };
    refuse_each({
        {"bare LF behind the request line", "GET /open/x HTTP/1.1\nHost: api.test\r\n\r\n" + kSmuggled},
        {"bare LF between fields", with("Host: api.test\nX: y\r\n")},
        {"bare LF as the empty line", "GET /open/x HTTP/1.1\r\nHost: api.test\r\n\n" + kSmuggled},
        {"bare CR between fields", with("Host: api.test\rX: y\r\n")},
        {"bare CR in a value", with("Host: api.test\r\nX: y\rz\r\n")},
        {"NUL in a value", with("Host: api.test\r\nX: y\0z\r\n"s)},
        {"NUL in a name", with("Host: api.test\r\nX\0Y: z\r\n"s)},
        {"DEL in a value", with("Host: api.test\r\nX: y\x7fz\r\n")},
        {"no colon", with("Host: api.test\r\nX\r\n")},
        {"no name", with("Host: api.test\r\n: y\r\n")},
        {"a space in a name", with("Host: api.test\r\nX Y: z\r\n")},
        {"space before the colon of Host", with("Host : api.test\r\n")},
        {"a first field that begins with a space", with(" Host: api.test\r\n")},
        {"an em dash in a name", with("Host: api.test\r\nX\xe2\x80\x94Y: z\r\n")},
        {"two spaces in the request line", request("GET  /open/x")},
        {"a tab in the request line", "GET\t/open/x HTTP/1.1\r\nHost: api.test\r\n\r\n"},
        {"words behind the version", "GET /open/x HTTP/1.1 HTTP/1.0\r\nHost: api.test\r\n\r\n"},
        {"HTTP/1.2", "GET /open/x HTTP/1.2\r\nHost: api.test\r\n\r\n" + kSmuggled},
        {"HTTP/2.0", "GET /open/x HTTP/2.0\r\nHost: api.test\r\n\r\n" + kSmuggled},
        {"HTTP/0.9", "GET /open/x\r\n" + kSmuggled},
        {"a preface of HTTP/2, where HTTP/1.1 was agreed on", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    });
}

TEST_CASE("request escape: chunks that are not plain hexadecimal, CRLF, data, CRLF end the request where they stand") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    const std::string audited = "deny 400 api.test POST /open/x: the request's body has no single meaning";
    // With its head in one piece nothing of such a request leaves. `before`: what is in order, sent ahead.
    const auto broken = [&](const std::string& what, const std::string& body, const std::string& before = "") {
        ground->attempt(ground->tls(), {what, chunked(before + body + kSmuggled), "", audited});
        auto client = ground->tls();
        const auto arrives = kChunkedHead + before;
        client.send(arrives);
        ground->wait_for(arrives);
        client.send(body + kSmuggled);
        ground->judge(client, {what + ", by and by", "", arrives, audited});
    };
    broken("size with 0x", "0x5\r\nhello\r\n0\r\n\r\n");
    broken("size with a sign", "+5\r\nhello\r\n0\r\n\r\n");
    broken("size behind a space", " 5\r\nhello\r\n0\r\n\r\n");
    broken("size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n");
    broken("no size", "\r\nhello\r\n0\r\n\r\n");
    broken("size and a bare LF", "5\nhello\r\n0\r\n\r\n");
    broken("extension and a bare LF", "5;a\nhello\r\n0\r\n\r\n");
    broken("size and a bare CR", "5\rXhello\r\n0\r\n\r\n");
    broken("NUL behind the size", "5\0\r\nhello\r\n0\r\n\r\n"s);
    broken("data longer than its size", "5\r\nhelloXX0\r\n\r\n");
    broken("data and a bare LF", "5\r\nhello\n0\r\n\r\n");
    broken("a second chunk of no size", "\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n");
    broken("length in the trailers", "0\r\nContent-Length: 5\r\n\r\n", "5\r\nhello\r\n");
    broken("a trailer with a bare LF", "0\r\nA: b\nC: d\r\n\r\n", "5\r\nhello\r\n");
    ground->attempt(ground->tls(), {"a body that stops", chunked("5\r\nhel"), kChunkedHead + "3\r\nhel\r\n", audited});
    ground->settle();
}

TEST_CASE("request escape: what has one meaning leaves as that one message, in our own words") {
    const auto five = kChunkedHead + "5\r\nhello\r\n0\r\n\r\n";
    const std::string allowed = "allow 200 api.test POST /open/x: allowed";
    try_each({
        {"leading zeros", chunked("0000000000000005\r\nhello\r\n000\r\n\r\n"), five, allowed},
        {"chunk extensions", chunked("5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n"), five, allowed},
        {"TE in other letters, between tabs", post("tRANSFER-eNCODING:\tchunKED\t\r\n", "5\r\nhello\r\n0\r\n\r\n"),
         five, allowed},
        {"trailers that would be fields",
         post("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n",
              "5\r\nhello\r\n0\r\nX-Sum: 1\r\nHost: evil.test\r\nX-HTTP-Method-Override: DELETE\r\nX_Method_Override: "
              "PUT\r\n"
              "Authorization: x\r\nCookie: x\r\nForwarded: host=evil.test\r\nX-Forwarded-Host: evil.test\r\n"
              "Connection: close\r\n\r\n"),
         post("Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), allowed},
        {"a folded value", request("GET /open/x", "X: a\r\n b\r\n"), request("GET /open/x", "X: a b\r\n"), "allow 200"},
        {"a folded TE", post("Transfer-Encoding:\r\n chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), five, allowed},
        {"CL with leading zeros", post("Content-Length: 0005\r\n", "hello"), post("Content-Length: 5\r\n", "hello"),
         allowed},
        {"fields that Connection names, Host and length among them",
         post("Connection: Host, Content-Length, X-Hop, keep-alive\r\nX-Hop: 1\r\nContent-Length: 5\r\n", "hello"),
         post("Content-Length: 5\r\n", "hello"), allowed},
        {"a body that stops before its length", post("Content-Length: 50\r\n", "hello"),
         post("Content-Length: 50\r\n", "hello"), "deny 400"},
    });
}

TEST_CASE("request escape: each pipelined request is judged for itself, whatever the bodies before it look like") {
    const auto inside = request("DELETE /open/x");
    const auto get = request("GET /open/x");
    try_each({
        {"allowed, denied, allowed", get + kSmuggled + get, get + get, "deny 403 api.test GET /shut"},
        {"a body that is a request", post("Content-Length: " + std::to_string(inside.size()) + "\r\n", inside) + get,
         post("Content-Length: " + std::to_string(inside.size()) + "\r\n", inside) + get,
         "allow 200 api.test GET /open/x"},
        {"a refused body that is a request",
         request("POST /shut", "Content-Length: " + std::to_string(get.size()) + "\r\n", get) + kSmuggled, "",
         "deny 403 api.test POST /shut"},
        {"a GET with a body", request("GET /shut", "Content-Length: " + std::to_string(get.size()) + "\r\n", get), "",
         "deny 403 api.test GET /shut"},
        {"CONNECT and what its tunnel would carry", request("CONNECT api.test:443") + get, "", "deny 405"},
        {"CONNECT with a body",
         request("CONNECT api.test:443", "Content-Length: " + std::to_string(get.size()) + "\r\n", get) + get, "",
         "deny 405"},
        {"CONNECT with chunks", request("CONNECT api.test:443", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n") + get,
         "", "deny 405"},
    });
}

TEST_CASE(
    "request escape: what would stand beside the secret's field and be read as it is refused, as a trailer dropped") {
    ::setenv("SALLYPORT_ATTEMPT_KEY", "real-key", 1);
    const auto ground = AttemptGround::make(
        "[[secret]]\nname = \"key\"\nhost = \"api.test\"\nheader = \"x-api-key\"\n"
        "value = { env = \"SALLYPORT_ATTEMPT_KEY\" }\n");
    if (!ground) return;
    const std::string ours = "x-api-key: real-key\r\n";
    const std::string te = "Transfer-Encoding: chunked\r\n";
    for (const std::string name : {"X_Api_Key", "x-api_key", "X_API-KEY"})
        ground->attempt(ground->tls(), {name, request("GET /open/x", name + ": mine\r\n"), "",
                                        "deny 400 api.test GET /open/x: " + name + " is read as another field"});
    ground->attempt(ground->tls(), {"twice", request("GET /open/x", "X-Api-Key: mine\r\nX-API-KEY: mine\r\n"),
                                    request("GET /open/x", "X-Api-Key: real-key\r\n"), "allow 200"});
    ground->attempt(ground->tls(), {"named by Connection", request("GET /open/x", "Connection: x-api-key\r\n"),
                                    request("GET /open/x", ours), "allow 200"});
    ground->attempt(ground->tls(), {"credentials in other fields",
                                    request("GET /open/x", "Authorization: Bearer mine\r\nApi_Key: mine\r\nA: b\r\n"),
                                    request("GET /open/x", "A: b\r\n" + ours), "allow 200"});
    ground->attempt(
        ground->tls(),
        {"trailers", post(te, "0\r\nX-Api-Key: mine\r\nX_Api_Key: mine\r\nPrivate-Token: mine\r\nX-Sum: 1\r\n\r\n"),
         post(ours + te, "0\r\nX-Sum: 1\r\n\r\n"), "allow 200 api.test POST /open/x"});
    ground->settle();
}
