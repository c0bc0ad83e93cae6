#include "gateway/wire/detect.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace sallyport::wire;

namespace {

Protocol seen(std::string_view bytes) {
    return detect({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

/// What a client gets that sends `bytes` one by one: the first answer that is not need_more.
Protocol settled(std::string_view bytes) {
    for (std::size_t size = 0; size <= bytes.size(); ++size)
        if (const auto protocol = seen(bytes.substr(0, size)); protocol != Protocol::need_more) return protocol;
    return Protocol::need_more;
}

}  // namespace

TEST_CASE("detect: TLS by its first three bytes") {
    using namespace std::string_view_literals;
    CHECK(seen("") == Protocol::need_more);
    CHECK(seen("\x16\x03"sv) == Protocol::need_more);
    CHECK(seen("\x16\x03\x01"sv) == Protocol::tls);
    CHECK(seen("\x16\x03\x00\x02\x00"sv) == Protocol::tls);
    CHECK(seen("\x16\x02"sv) == Protocol::other);
    CHECK(seen("\x16\x03\x07"sv) == Protocol::other);
    CHECK(seen("\x80\x2e\x01\x03\x01"sv) == Protocol::other);
}

TEST_CASE("detect: HTTP/1 needs the whole request line, however it is split") {
    for (const auto* line : {"GET / HTTP/1.1\r\n", "POST /a?b=c HTTP/1.0\r\n", "OPTIONS * HTTP/1.1\r\n",
                             "GET http://example.com/ HTTP/1.1\r\n", "CONNECT example.com:443 HTTP/1.1\r\n",
                             "M-SEARCH * HTTP/1.1\r\n", "get / HTTP/1.1\r\n", "PRIME / HTTP/1.1\r\n"}) {
        CAPTURE(line);
        CHECK(seen(line) == Protocol::http1);
        CHECK(settled(line) == Protocol::http1);
    }
    CHECK(seen("GET / HTTP/1") == Protocol::need_more);
    CHECK(seen("GET " + std::string(8000, 'a')) == Protocol::need_more);
}

TEST_CASE("detect: protocols that begin like HTTP/1 are not taken for it") {
    for (const auto* bytes :
         {"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", "EHLO mail.example\r\n", "PING\r\n", "GET /\r\n",
          "GET / HTTP/2.0\r\n", "GET  / HTTP/1.1\r\n", " GET / HTTP/1.1\r\n", "\r\nGET / HTTP/1.1\r\n",
          "GET\t/ HTTP/1.1\r\n", "GET / http/1.1\r\n", "GET /\x01 HTTP/1.1\r\n", "GET /\xc3\xa4 HTTP/1.1\r\n",
          "*1\r\n$4\r\nPING\r\n", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1\r\n"}) {
        CAPTURE(bytes);
        CHECK(seen(bytes) == Protocol::other);
        CHECK(settled(bytes) == Protocol::other);
    }
    CHECK(seen("GET /" + std::string(kMaxRequestLine, 'a')) == Protocol::other);
    CHECK(seen(std::string(40, 'A')) == Protocol::other);
}

TEST_CASE("detect: the HTTP/2 preface, all of it") {
    const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (std::size_t size = 0; size < preface.size(); ++size)
        CHECK(seen(preface.substr(0, size)) == Protocol::need_more);
    CHECK(seen(preface) == Protocol::http2_preface);
    CHECK(seen(preface + "more") == Protocol::http2_preface);
    CHECK(seen("PRI * HTTP/2.0\r\n\r\nXX") == Protocol::other);
}
