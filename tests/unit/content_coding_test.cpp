#include "gateway/http/content_coding.hpp"

#include <doctest/doctest.h>
#include <zlib.h>
#include <zstd.h>

#include "gateway/secrets/scrubber.hpp"
#include "gateway/session/edited_body.hpp"

using namespace sallyport;
using namespace sallyport::http;

namespace {

constexpr Coding kAll[] = {Coding::gzip, Coding::deflate, Coding::brotli, Coding::zstd};

std::string encoded(Coding coding, const std::string& text) {
    std::string out;
    const auto encoder = make_encoder(coding);
    const auto half = text.size() / 2;
    encoder->put(std::string_view(text).substr(0, half), false, out);
    encoder->put(std::string_view(text).substr(half), true, out);
    return out;
}

/// "" when it is malformed or has no end.
std::string decoded(Coding coding, std::string_view text, std::size_t size) {
    const auto decoder = make_decoder(coding);
    std::string out;
    while (!text.empty()) {
        auto in = text.substr(0, size);
        text.remove_prefix(in.size());
        for (;;) {
            const auto before = out.size();
            if (!decoder->run(in, out)) return {};
            if (out.size() - before > kCodingPiece) FAIL("more at a time than the bound");
            if (out.size() == before) break;
        }
        CHECK(in.empty());
    }
    return decoder->complete() ? out : std::string();
}

std::string sample() {
    std::string text;
    for (int i = 0; i < 50'000; ++i) text += std::to_string(i * 7919 % 10'007) + " ";
    return text;
}

std::string raw_deflate(std::string text) {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(text.size() + 100, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(text.data());
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

}  // namespace

TEST_CASE("content coding: what was encoded is decoded, however it is cut") {
    const auto text = sample();
    for (const auto coding : kAll) {
        const auto body = encoded(coding, text);
        CHECK(body.size() < text.size());
        for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, body.size()})
            CHECK(decoded(coding, body, size) == text);
    }
    CHECK(decoded(Coding::deflate, raw_deflate(text), 1000) == text);  // without zlib's header
}

TEST_CASE("content coding: several members and frames, and what follows the last") {
    const auto gzip = encoded(Coding::gzip, "one ") + encoded(Coding::gzip, "two");
    const auto zstd = encoded(Coding::zstd, "one ") + encoded(Coding::zstd, "two");
    for (const std::size_t size : {1, 1000}) {
        CHECK(decoded(Coding::gzip, gzip, size) == "one two");
        CHECK(decoded(Coding::zstd, zstd, size) == "one two");
        CHECK(decoded(Coding::gzip, gzip + std::string("\0\0secret", 8), size) == "one two");
        CHECK(decoded(Coding::gzip, gzip + "secret", size) == "one two");
        CHECK(decoded(Coding::gzip, gzip + "x" + gzip, size) == "one two");
        CHECK(decoded(Coding::brotli, encoded(Coding::brotli, "one") + "secret", size) == "one");
    }
}

TEST_CASE("content coding deny: garbage, a cut body, a window beyond the bound") {
    const auto text = sample();
    for (const auto coding : kAll) {
        const auto body = encoded(coding, text);
        CHECK(decoded(coding, "\xff\xfe\xfd\xfcgarbage that is none", 100) == "");
        CHECK(decoded(coding, body.substr(0, body.size() - 5), 1000) == "");
    }
    std::string out(ZSTD_compressBound(text.size()), '\0');
    const std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, 27);
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    ZSTD_inBuffer from{text.data(), text.size(), 0};
    ZSTD_compressStream2(context.get(), &to, &from, ZSTD_e_flush);  // of unknown size: the window is what counts
    CHECK(decoded(Coding::zstd, std::string_view(out).substr(0, to.pos), 1000) == "");
}

TEST_CASE("edited body: what a few bytes expand to comes out in pieces with a bound") {
    std::string bomb;
    const std::string zeros(1 << 20, '\0');
    for (const auto coding : kAll) {
        bomb.clear();
        const auto encoder = make_encoder(coding);
        for (int i = 0; i < 64; ++i) encoder->put(zeros, i == 63, bomb);
        CHECK(bomb.size() < 400'000);
        secrets::Replacer nothing{{}};
        session::EditedBody body(nothing, coding);
        const std::string_view piece = bomb;
        body.give({&piece, 1}, true);
        std::size_t pieces = 0;
        while (!body.over()) {
            const auto next = body.next();
            REQUIRE(next);
            REQUIRE(next->size() <= 2 * kCodingPiece);
            ++pieces;
        }
        CHECK(pieces >= 64 * zeros.size() / kCodingPiece);  // others have their turn after each
    }
}
