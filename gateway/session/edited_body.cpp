#include "gateway/session/edited_body.hpp"

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
        plain_.clear();
        if (auto decoded = decode(); !decoded) return decoded.error();
        searched_ += plain_.size();
        edited_.clear();
        replacer_.put(plain_, edited_);
        const bool drained = used_up() && (!decoder_ || plain_.empty());
        if (drained) given_ = false;
        if (drained && last_) {
            if (decoder_ && !decoder_->complete())
                return Error{ErrorKind::malformed, "a compressed body that has no end"};
            replacer_.finish(edited_);
            over_ = true;
        }
        encode();
    }
    return std::string_view(out_);
}

Result<void> EditedBody::decode() {
    if (decoder_) return decoder_->run(bytes_, plain_);
    plain_ = bytes_;
    bytes_ = {};
    return {};
}

/// Piece by piece, so that nobody waits while much is made of few bytes. A body without a byte has no coding either.
void EditedBody::encode() {
    if (!encoder_) out_ += edited_;
    else if (any_ && (over_ || !edited_.empty())) encoder_->put(edited_, over_, out_);
}

}  // namespace sallyport::session
