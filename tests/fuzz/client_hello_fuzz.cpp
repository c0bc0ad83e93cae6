// Besides not crashing: an answer other than "need more" must not depend on what follows, nor on how much of it was
// there when it was first given.
#include <cstdlib>

#include "gateway/wire/client_hello.hpp"

using namespace sallyport::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::uint8_t> bytes(data, size);
    const auto whole = parse_client_hello(bytes);
    const auto half = parse_client_hello(bytes.first(size / 2));
    if (!std::holds_alternative<NeedMore>(half) && half.index() != whole.index()) std::abort();
    if (std::holds_alternative<NeedMore>(whole) && size > kMaxClientHello) std::abort();
    if (const auto* hello = std::get_if<ClientHello>(&whole)) {
        if (hello->consumed > size) std::abort();
        if (!std::holds_alternative<ClientHello>(parse_client_hello(bytes.first(hello->consumed)))) std::abort();
        if (!std::holds_alternative<NeedMore>(parse_client_hello(bytes.first(hello->consumed - 1)))) std::abort();
        if (hello->server_name && hello->server_name->find('\0') != std::string::npos) std::abort();
    }
    return 0;
}
