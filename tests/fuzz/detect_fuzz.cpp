// Besides not crashing: the first answer stays, whatever follows, and waiting has an end.
#include <cstdlib>

#include "gateway/wire/detect.hpp"

using namespace sallyport::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::uint8_t> bytes(data, size);
    const auto whole = detect(bytes);
    if (whole == Protocol::need_more && size > kMaxRequestLine + 8) std::abort();
    for (std::size_t cut = size < 64 ? 0 : size - 64; cut < size; ++cut) {
        const auto earlier = detect(bytes.first(cut));
        if (earlier != Protocol::need_more && earlier != whole) std::abort();
    }
    return 0;
}
