#include "gateway/session/edited_body.hpp"

#include <utility>

namespace sallyport::session {

EditedBody::EditedBody(secrets::Replacer& replacer, std::optional<http::Coding> coding)
    : replacer_(replacer),
      decoder_(coding ? http::make_decoder(*coding) : nullptr),
      encoder_(coding ? http::make_encoder(*coding) : nullptr) {}

void EditedBody::give(std::span<const std::string_view> pieces, bool last) {
    pieces_ = pieces;
    given_ = true;
    last_ = last;
}

Result<std::string_view> EditedBody::next() {
    out_.clear();
    while (out_.empty() && given_) {
        if (bytes_.empty() && !pieces_.empty()) {
            bytes_ = pieces_.front();
            pieces_ = pieces_.subspan(1);
        }
        any_ = any_ || !bytes_.empty();
        const auto plain = decode();
        if (!plain) return plain.error();
        searched_ += plain->size();
        auto& edited = encoder_ ? edited_ : out_;
        edited.clear();
        replacer_.put(*plain, edited);
        const bool drained = used_up() && (!decoder_ || plain->empty());
        if (drained) given_ = false;
        if (drained && last_) {
            if (decoder_ && !decoder_->complete())
                return Error{ErrorKind::malformed, "a compressed body that has no end"};
            replacer_.finish(edited);
            over_ = true;
        }
        encode();
    }
    return std::string_view(out_);
}

/// As much as one call gives.
Result<std::string_view> EditedBody::decode() {
    if (!decoder_) return std::exchange(bytes_, {});
    plain_.clear();
    if (auto decoded = decoder_->run(bytes_, plain_); !decoded) return decoded.error();
    return std::string_view(plain_);
}

/// Piece by piece, so that nobody waits while much is made of few bytes. A body without a byte has no coding either.
void EditedBody::encode() {
    if (encoder_ && any_ && (over_ || !edited_.empty())) encoder_->put(edited_, over_, out_);
}

}  // namespace sallyport::session
