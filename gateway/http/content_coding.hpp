#pragma once
// Codings of a body (RFC 9110, section 8.4.1; zstd RFC 8878 with the window of RFC 9659), piece by piece: whatever a
// few bytes expand to, no more than kCodingPiece of it is there at a time. Pure.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/base/result.hpp"

namespace sallyport::http {

enum class Coding { gzip, deflate, brotli, zstd };

inline constexpr std::size_t kCodingPiece = 64 * 1024;

/// "gzip", "x-gzip", "deflate", "br", "zstd" in any letter case.
std::optional<Coding> coding_named(std::string_view token);

/// Holds its window: 32 KiB for gzip and deflate, at most 16 MiB for brotli, 8 MiB for zstd.
class Decoder {
public:
    virtual ~Decoder() = default;
    /// Takes bytes off the front of `in` and appends at most kCodingPiece to `out`. Nothing appended: `in` is empty and
    /// more is wanted. ErrorKind::malformed.
    virtual Result<void> run(std::string_view& in, std::string& out) = 0;
    /// The body may end here.
    virtual bool complete() const = 0;
};
std::unique_ptr<Decoder> make_decoder(Coding);

/// Holds less than 2 MB; it is fast rather than thorough.
class Encoder {
public:
    virtual ~Encoder() = default;
    /// Appends all of it, so that it can be read without what follows. `end`: nothing does.
    virtual void put(std::string_view in, bool end, std::string& out) = 0;
};
std::unique_ptr<Encoder> make_encoder(Coding);

}  // namespace sallyport::http
