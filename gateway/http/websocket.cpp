#include "gateway/http/websocket.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <span>

namespace sallyport::http {

namespace {

std::string base64(std::span<const unsigned char> bytes) {
    std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> out;
    const int length = EVP_EncodeBlock(out.data(), bytes.data(), static_cast<int>(bytes.size()));
    return std::string(out.begin(), out.begin() + length);
}

}  // namespace

std::string websocket_key() {
    std::array<unsigned char, 16> bytes;
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return {};
    return base64(bytes);
}

std::string websocket_accept(std::string_view key) {
    std::string text(key);
    text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455, section 1.3
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) return {};
    return base64({digest.data(), size});
}

Result<void> check_switch(const wire::RequestHead& request, const wire::ResponseHead& response) {
    const auto wrong = [](const char* why) { return Error{ErrorKind::malformed, why}; };
    if (request.upgrade.empty()) return wrong("the origin switched protocols without being asked");
    const auto& fields = response.fields;
    const auto protocol = wire::find(fields, "Upgrade");
    if (!protocol || !wire::equal_ignoring_case(*protocol, request.upgrade) || wire::count(fields, "Upgrade") != 1 ||
        !wire::has_token(fields, "Connection", "upgrade"))
        return wrong("the origin switched to another protocol than it was asked for");
    const auto accept = websocket_accept(wire::find(request.fields, "Sec-WebSocket-Key").value_or(""));
    if (accept.empty() || wire::find(fields, "Sec-WebSocket-Accept") != accept ||
        wire::count(fields, "Sec-WebSocket-Accept") != 1)
        return wrong("the origin's Sec-WebSocket-Accept is not the answer to the handshake's key");
    // Servers take the first one offered, whatever it is: also a secret that was put in there.
    const wire::Fields offered{{"offered", request.offered}};
    for (const auto& field : fields)
        if (wire::equal_ignoring_case(field.name, "Sec-WebSocket-Protocol") &&
            !wire::has_token(offered, "offered", field.value))
            return wrong("the origin chose a subprotocol that the client does not offer");
    return {};
}

}  // namespace sallyport::http
