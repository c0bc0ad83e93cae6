#pragma once
// Reads big-endian fields out of untrusted bytes. Never reads past the end: the first field that does not fit
// makes every later read fail too, so a parser checks ok() once per structure.

#include <cstddef>
#include <cstdint>
#include <span>

namespace sallyport::wire {

/// The bytes must outlive the reader and every span that it hands out.
class ByteReader {
public:
    explicit ByteReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    bool ok() const { return ok_; }
    /// Everything was read and nothing was missing.
    bool at_end() const { return ok_ && bytes_.empty(); }
    std::size_t left() const { return bytes_.size(); }

    std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
    std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
    std::uint32_t u24() { return number(3); }
    std::uint32_t u32() { return number(4); }

    /// The next `count` bytes; empty, and ok() false, when fewer are left.
    std::span<const std::uint8_t> take(std::size_t count) {
        if (count > bytes_.size()) ok_ = false;
        if (!ok_) return {};
        const auto taken = bytes_.first(count);
        bytes_ = bytes_.subspan(count);
        return taken;
    }
    /// A vector as TLS writes it: its length in one or two bytes, then the bytes.
    std::span<const std::uint8_t> vector8() { return take(u8()); }
    std::span<const std::uint8_t> vector16() { return take(u16()); }

private:
    std::uint32_t number(std::size_t width) {
        std::uint32_t value = 0;
        for (const auto byte : take(width)) value = (value << 8) | byte;
        return value;
    }

    std::span<const std::uint8_t> bytes_;
    bool ok_ = true;
};

}  // namespace sallyport::wire
