#include "gateway/base/endpoint.hpp"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace sallyport {

IpAddress IpAddress::v4(std::array<std::uint8_t, 4> bytes) {
    IpAddress address;
    std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
    return address;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
    static constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin()))
        return v4({bytes[12], bytes[13], bytes[14], bytes[15]});
    IpAddress address;
    address.bytes_ = bytes;
    address.is_v4_ = false;
    return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    const std::string terminated(text);
    if (terminated.size() != std::strlen(terminated.c_str())) return std::nullopt;
    std::array<std::uint8_t, 4> four{};
    if (inet_pton(AF_INET, terminated.c_str(), four.data()) == 1) return v4(four);
    std::array<std::uint8_t, 16> sixteen{};
    if (inet_pton(AF_INET6, terminated.c_str(), sixteen.data()) == 1) return v6(sixteen);
    return std::nullopt;
}

bool IpAddress::in_network(const IpAddress& network, int prefix) const {
    if (is_v4_ != network.is_v4_) return false;
    for (int bit = 0; bit < prefix; bit += 8) {
        const auto mask = static_cast<std::uint8_t>(prefix - bit >= 8 ? 0xff : 0xff << (8 - (prefix - bit)));
        const auto i = static_cast<std::size_t>(bit / 8);
        if ((bytes_[i] & mask) != (network.bytes_[i] & mask)) return false;
    }
    return true;
}

std::string IpAddress::to_string() const {
    char text[INET6_ADDRSTRLEN] = {};
    inet_ntop(is_v4_ ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
    return text;
}

std::string Endpoint::to_string() const {
    const std::string port_text = ":" + std::to_string(port);
    return address.is_v4() ? address.to_string() + port_text : "[" + address.to_string() + "]" + port_text;
}

std::optional<Endpoint> Endpoint::from_sockaddr(const sockaddr_storage& storage) {
    if (storage.ss_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &storage, sizeof in);
        std::array<std::uint8_t, 4> bytes{};
        std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
        return Endpoint{IpAddress::v4(bytes), ntohs(in.sin_port)};
    }
    if (storage.ss_family == AF_INET6) {
        sockaddr_in6 in6{};
        std::memcpy(&in6, &storage, sizeof in6);
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &in6.sin6_addr, bytes.size());
        return Endpoint{IpAddress::v6(bytes), ntohs(in6.sin6_port)};
    }
    return std::nullopt;
}

unsigned Endpoint::to_sockaddr(sockaddr_storage& out) const {
    out = {};
    if (address.is_v4()) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        std::memcpy(&in.sin_addr, address.bytes().data(), 4);
        std::memcpy(&out, &in, sizeof in);
        return sizeof in;
    }
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    std::memcpy(&in6.sin6_addr, address.bytes().data(), 16);
    std::memcpy(&out, &in6, sizeof in6);
    return sizeof in6;
}

}  // namespace sallyport
