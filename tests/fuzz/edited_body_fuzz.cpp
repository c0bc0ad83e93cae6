// A compressed response on its way back: decoded, searched and encoded again. What comes of it can be decoded, holds no
// form of a secret, and is the same however the response is cut. Input: a byte that names the coding, another bit of it
// says whether what follows is to be encoded first (scrub_oracle.hpp) or is what an origin sent; two bytes that say
// where to cut.

#include "gateway/session/edited_body.hpp"
#include "tests/fuzz/scrub_oracle.hpp"

using namespace sallyport;
using namespace sallyport::fuzz;

namespace {

constexpr std::size_t kMost = 256 * 1024;  // of what it expands to, for the time it takes
constexpr http::Coding kCodings[] = {http::Coding::gzip, http::Coding::deflate, http::Coding::brotli,
                                     http::Coding::zstd};

struct Outcome {
    std::string text;  ///< decoded
    bool whole = false;
    bool large = false;  ///< given up
};

std::string decoded(http::Coding coding, std::string_view body) {
    const auto decoder = http::make_decoder(coding);
    std::string out;
    for (std::size_t before = 1; !body.empty() || out.size() > before;) {
        before = out.size();
        require(decoder->run(body, out).has_value());
    }
    require(decoder->complete());
    return out;
}

Outcome edited(secrets::Replacer replacer, http::Coding coding, std::string_view body, std::size_t first,
               std::size_t size) {
    session::EditedBody edited(replacer, coding);
    Outcome outcome;
    std::string out;
    size = std::max({size, body.size() / 16, std::size_t{1}});  // each piece is flushed, which takes its time
    do {
        const auto piece = body.substr(0, std::max<std::size_t>(first, 1));
        body.remove_prefix(piece.size());
        first = size;
        edited.give({&piece, 1}, body.empty());
        for (;;) {
            const auto next = edited.next();
            if (!next) return outcome;
            require(next->size() <= 3 * http::kCodingPiece);
            if (next->empty()) break;
            out += *next;
            outcome.large = edited.searched() > kMost;
            if (outcome.large) return outcome;
        }
    } while (!body.empty());
    require(edited.over());
    outcome.whole = true;
    if (!out.empty()) outcome.text = decoded(coding, out);
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto kVault = vault(kLong, "sk-placeholder-2");
    if (size < 3 || size > 4096) return 0;
    const auto input = fuzz::text(data + 3, size - 3);
    const auto coding = kCodings[data[0] % 4];
    const bool encode = data[0] & 4;
    const auto& bound = kVault.secrets.bound;

    std::string body(input);
    if (encode) {
        body.clear();
        http::make_encoder(coding)->put(filled_in(input, kLong), true, body);
    }
    const auto whole = edited(secrets::Replacer({bound[0].forms}), coding, body, body.size(), 1);
    if (whole.large) return 0;
    require(whole.whole || !encode);
    require_none(whole.text, kLong);
    const auto in_pieces = edited(secrets::Replacer({bound[0].forms}), coding, body, data[1], data[2]);
    require(in_pieces.whole == whole.whole && in_pieces.text == whole.text);
    require_none(edited(secrets::scrubber(bound), coding, body, data[2], data[1]).text, kLong);
    return 0;
}
