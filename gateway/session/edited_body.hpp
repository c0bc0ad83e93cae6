#pragma once
// A body on its way through a Replacer: decoded before and encoded again behind it where it has a content coding. What
// came is passed on at once, up to what may be the beginning of a match. Pure.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gateway/http/content_coding.hpp"
#include "gateway/secrets/replacer.hpp"

namespace sallyport::session {

class EditedBody {
public:
    /// The replacer outlives it.
    EditedBody(secrets::Replacer&, std::optional<http::Coding>);

    /// What came next, valid until next() gives nothing; only to be called then. `last`: nothing follows.
    void give(std::span<const std::string_view> pieces, bool last);
    /// The next piece of what goes, valid until the next call, of a few times http::kCodingPiece at most. Nothing: more
    /// is to be given, or it is over.
    Result<std::string_view> next();
    bool over() const { return over_; }
    /// How many bytes of the body, decoded, were looked at so far.
    std::uint64_t searched() const { return searched_; }

private:
    Result<std::string_view> decode();
    void encode();
    bool used_up() const { return bytes_.empty() && pieces_.empty(); }

    secrets::Replacer& replacer_;
    const std::unique_ptr<http::Decoder> decoder_;  ///< null: no coding
    const std::unique_ptr<http::Encoder> encoder_;
    std::span<const std::string_view> pieces_;
    std::string_view bytes_;  ///< what is left of the piece before
    bool given_ = false;      ///< and not used up yet
    bool last_ = false;
    bool over_ = false;
    bool any_ = false;  ///< the body is not empty
    std::uint64_t searched_ = 0;
    std::string plain_, edited_;  ///< behind the decoder, before the encoder
    std::string out_;
};

}  // namespace sallyport::session
