// A response on its way back: however it is cut, what comes out is what comes of the whole; none of the forms of a
// secret that have a name is in it. Input: two bytes that say where to cut, then the response (scrub_oracle.hpp).

#include "tests/fuzz/scrub_oracle.hpp"

using namespace sallyport;
using namespace sallyport::fuzz;

namespace {

std::string scrubbed(secrets::Replacer replacer, std::string_view text, std::size_t first, std::size_t piece) {
    std::string out;
    for (std::size_t size = first; !text.empty(); size = piece) {
        const auto part = text.substr(0, std::max<std::size_t>(size, 1));
        text.remove_prefix(part.size());
        replacer.put(part, out);
        require(replacer.held() <= 100 * kLong.size());  // four thirds, each of 24 bytes, with zeros and a line's end
    }
    replacer.finish(out);
    require(replacer.held() == 0);
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto kShortVault = vault(kShort, "dummy-z");
    static const auto kLongVault = vault(kLong, "sk-placeholder-2");
    if (size < 2 || size > 8192) return 0;
    const auto input = fuzz::text(data + 2, size - 2);

    const auto& short_one = kShortVault.secrets.bound;
    const auto& long_one = kLongVault.secrets.bound;

    const auto text = filled_in(input, kShort);
    const auto whole = scrubbed(secrets::scrubber(short_one), text, text.size(), 1);
    require(scrubbed(secrets::scrubber(short_one), text, data[0], data[1]) == whole &&
            scrubbed(secrets::scrubber(short_one), text, 1, 1) == whole);
    require_none(whole, kShort);

    const auto long_text = filled_in(input, kLong);
    const auto long_whole = scrubbed(secrets::scrubber(long_one), long_text, long_text.size(), 1);
    require_none(long_whole, kLong);
    require_none(scrubbed(secrets::scrubber(long_one), long_text, data[0], data[1]), kLong);
    // Where nothing of it may go before it is known, a long one is the same however it is cut, nearly or wholly there.
    require(scrubbed(secrets::Replacer({long_one[0].forms}), long_text, data[0], data[1]) == long_whole);
    return 0;
}
