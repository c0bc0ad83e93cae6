#include "gateway/http/content_coding.hpp"

#define ZSTD_STATIC_LINKING_ONLY  // contexts with a heap of one's own; the shared library has them too

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "gateway/base/wiped_memory.hpp"

namespace sallyport::http {
namespace {

constexpr int kZstdWindowLog = 23;  // RFC 9659: no decoder has to support more

Error malformed() { return {ErrorKind::malformed, "a body that is not in the Content-Encoding that its head names"}; }

/// `write(room, size)` says how many bytes of it were used.
template <class Write>
void append_some(std::string& out, Write write) {
    const auto before = out.size();
    out.resize(before + kCodingPiece);
    const std::size_t used = write(out.data() + before, kCodingPiece);
    out.resize(before + used);
}

// The heap of all codings: a window holds what came before anything was taken out of it.
void* take(void*, std::size_t size) { return std::malloc(size); }
void give_back(void*, void* block) { wipe_and_free(block); }
constexpr ZSTD_customMem kWipedHeap{take, give_back, nullptr};

z_stream zlib_stream() {
    z_stream stream{};
    stream.zalloc = [](voidpf, uInt count, uInt size) { return std::malloc(std::size_t{count} * size); };
    stream.zfree = give_back;
    return stream;
}

Bytef* bytes(std::string_view text) { return reinterpret_cast<Bytef*>(const_cast<char*>(text.data())); }
const std::uint8_t* octets(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

/// gzip with several members one after another; deflate with zlib's header, as it should be, or without, as some send
/// it.
class ZlibDecoder final : public Decoder {
public:
    explicit ZlibDecoder(bool gzip) : gzip_(gzip) {
        if (inflateInit2(&stream_, gzip_ ? 15 + 16 : 15) != Z_OK) throw std::bad_alloc();
    }
    ~ZlibDecoder() override { inflateEnd(&stream_); }

    Result<void> run(std::string_view& in, std::string& out) override {
        if (!gzip_ && !begun_ && !in.empty()) begin_deflate(in);
        while (!in.empty() || pending_) {
            if (complete_ && !next_member(in)) break;
            int result = Z_OK;
            const auto before = out.size();
            append_some(out, [&](char* room, std::size_t size) {
                stream_.next_in = bytes(in);
                stream_.avail_in = static_cast<uInt>(in.size());
                stream_.next_out = reinterpret_cast<Bytef*>(room);
                stream_.avail_out = static_cast<uInt>(size);
                result = inflate(&stream_, Z_NO_FLUSH);
                in.remove_prefix(in.size() - stream_.avail_in);
                pending_ = stream_.avail_out == 0;
                return size - stream_.avail_out;
            });
            begun_ = true;
            complete_ = result == Z_STREAM_END;
            if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return malformed();
            if (complete_) pending_ = false;
            if (out.size() > before) break;
        }
        return {};
    }
    bool complete() const override { return complete_ || !begun_; }

private:
    /// RFC 1950, section 2.2: what the first byte of zlib's header is, and no block of deflate that servers make.
    void begin_deflate(std::string_view in) {
        if ((in.front() & 0x0f) != Z_DEFLATED) inflateReset2(&stream_, -15);
    }
    /// False when what follows the data is none: nobody reads it, wherever it is cut.
    bool next_member(std::string_view& in) {
        over_ = over_ || !gzip_ || in.front() != '\x1f';
        if (over_) {
            in = {};
            return false;
        }
        inflateReset(&stream_);
        return true;
    }

    const bool gzip_;
    z_stream stream_ = zlib_stream();
    bool begun_ = false;
    bool complete_ = false;
    bool over_ = false;     ///< something else has followed
    bool pending_ = false;  ///< there may be output without further input
};

class ZlibEncoder final : public Encoder {
public:
    explicit ZlibEncoder(bool gzip) {
        constexpr int kWindowBits = 13, kMemoryLevel = 6;
        if (deflateInit2(&stream_, 1, Z_DEFLATED, kWindowBits + (gzip ? 16 : 0), kMemoryLevel, Z_DEFAULT_STRATEGY) !=
            Z_OK)
            throw std::bad_alloc();
    }
    ~ZlibEncoder() override { deflateEnd(&stream_); }

    void put(std::string_view in, bool end, std::string& out) override {
        stream_.next_in = bytes(in);
        stream_.avail_in = static_cast<uInt>(in.size());
        do
            append_some(out, [&](char* room, std::size_t size) {
                stream_.next_out = reinterpret_cast<Bytef*>(room);
                stream_.avail_out = static_cast<uInt>(size);
                deflate(&stream_, end ? Z_FINISH : Z_SYNC_FLUSH);
                return size - stream_.avail_out;
            });
        while (stream_.avail_out == 0);
    }

private:
    z_stream stream_ = zlib_stream();
};

struct BrotliFree {
    void operator()(BrotliDecoderState* state) const { BrotliDecoderDestroyInstance(state); }
    void operator()(BrotliEncoderState* state) const { BrotliEncoderDestroyInstance(state); }
};

class BrotliDecoder final : public Decoder {
public:
    BrotliDecoder() : state_(BrotliDecoderCreateInstance(take, give_back, nullptr)) {
        if (!state_) throw std::bad_alloc();
    }
    Result<void> run(std::string_view& in, std::string& out) override {
        auto result = BROTLI_DECODER_RESULT_SUCCESS;
        if (BrotliDecoderIsFinished(state_.get())) {
            in = {};  // nobody reads what follows
            return {};
        }
        append_some(out, [&](char* room, std::size_t size) {
            auto left = in.size();
            const auto* next = octets(in);
            auto free = size;
            auto* to = reinterpret_cast<std::uint8_t*>(room);
            result = BrotliDecoderDecompressStream(state_.get(), &left, &next, &free, &to, nullptr);
            in.remove_prefix(in.size() - left);
            return size - free;
        });
        if (result == BROTLI_DECODER_RESULT_ERROR) return malformed();
        return {};
    }
    bool complete() const override {
        return !BrotliDecoderIsUsed(state_.get()) || BrotliDecoderIsFinished(state_.get());
    }

private:
    std::unique_ptr<BrotliDecoderState, BrotliFree> state_;
};

class BrotliEncoder final : public Encoder {
public:
    BrotliEncoder() : state_(BrotliEncoderCreateInstance(take, give_back, nullptr)) {
        if (!state_) throw std::bad_alloc();
        BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_QUALITY, 2);
        BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_LGWIN, 17);
    }
    void put(std::string_view in, bool end, std::string& out) override {
        const auto operation = end ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH;
        auto left = in.size();
        const auto* next = octets(in);
        do
            append_some(out, [&](char* room, std::size_t size) {
                auto free = size;
                auto* to = reinterpret_cast<std::uint8_t*>(room);
                BrotliEncoderCompressStream(state_.get(), operation, &left, &next, &free, &to, nullptr);
                return size - free;
            });
        while (left > 0 || BrotliEncoderHasMoreOutput(state_.get()));
    }

private:
    std::unique_ptr<BrotliEncoderState, BrotliFree> state_;
};

struct ZstdFree {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

class ZstdDecoder final : public Decoder {
public:
    ZstdDecoder() : context_(ZSTD_createDCtx_advanced(kWipedHeap)) {
        if (!context_) throw std::bad_alloc();
        ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowLog);
    }
    Result<void> run(std::string_view& in, std::string& out) override {
        while (!in.empty() || pending_) {
            std::size_t hint = 0;
            const auto before = out.size();
            append_some(out, [&](char* room, std::size_t size) {
                ZSTD_inBuffer from{in.data(), in.size(), 0};
                ZSTD_outBuffer to{room, size, 0};
                hint = ZSTD_decompressStream(context_.get(), &to, &from);
                in.remove_prefix(from.pos);
                pending_ = to.pos == to.size;
                return to.pos;
            });
            if (ZSTD_isError(hint)) return malformed();
            complete_ = hint == 0;  // another frame may follow
            if (complete_) pending_ = false;
            if (out.size() > before) break;
        }
        return {};
    }
    bool complete() const override { return complete_; }

private:
    std::unique_ptr<ZSTD_DCtx, ZstdFree> context_;
    bool complete_ = true;
    bool pending_ = false;
};

class ZstdEncoder final : public Encoder {
public:
    ZstdEncoder() : context_(ZSTD_createCCtx_advanced(kWipedHeap)) {
        if (!context_) throw std::bad_alloc();
        ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, 1);
        ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_windowLog, 17);
    }
    void put(std::string_view in, bool end, std::string& out) override {
        ZSTD_inBuffer from{in.data(), in.size(), 0};
        std::size_t left = 0;
        do
            append_some(out, [&](char* room, std::size_t size) {
                ZSTD_outBuffer to{room, size, 0};
                left = ZSTD_compressStream2(context_.get(), &to, &from, end ? ZSTD_e_end : ZSTD_e_flush);
                return to.pos;
            });
        while (!ZSTD_isError(left) && left > 0);
    }

private:
    std::unique_ptr<ZSTD_CCtx, ZstdFree> context_;
};

}  // namespace

std::optional<Coding> coding_named(std::string_view token) {
    std::string name(token);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (name == "gzip" || name == "x-gzip") return Coding::gzip;
    if (name == "deflate") return Coding::deflate;
    if (name == "br") return Coding::brotli;
    if (name == "zstd") return Coding::zstd;
    return std::nullopt;
}

std::unique_ptr<Decoder> make_decoder(Coding coding) {
    switch (coding) {
        case Coding::gzip:
            return std::make_unique<ZlibDecoder>(true);
        case Coding::deflate:
            return std::make_unique<ZlibDecoder>(false);
        case Coding::brotli:
            return std::make_unique<BrotliDecoder>();
        case Coding::zstd:
            break;
    }
    return std::make_unique<ZstdDecoder>();
}

std::unique_ptr<Encoder> make_encoder(Coding coding) {
    switch (coding) {
        case Coding::gzip:
            return std::make_unique<ZlibEncoder>(true);
        case Coding::deflate:
            return std::make_unique<ZlibEncoder>(false);
        case Coding::brotli:
            return std::make_unique<BrotliEncoder>();
        case Coding::zstd:
            break;
    }
    return std::make_unique<ZstdEncoder>();
}

}  // namespace sallyport::http
