#pragma once
// Addresses as values that say what they mean. Standard library and inet_pton(3) only: no sockets.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr_storage;

namespace sallyport {

/// An IPv4 or IPv6 address in canonical form: a v4-mapped IPv6 address (::ffff:a.b.c.d) is stored as
/// IPv4, so two equal destinations always compare equal.
class IpAddress {
public:
    IpAddress() = default;  ///< 0.0.0.0

    static IpAddress v4(std::array<std::uint8_t, 4> bytes);
    static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);
    /// Text as inet_pton(3) takes it; brackets and zone identifiers are not accepted.
    static std::optional<IpAddress> parse(std::string_view text);

    bool is_v4() const { return is_v4_; }
    bool is_v6() const { return !is_v4_; }
    /// Network byte order; an IPv4 address fills the first four bytes, the rest is zero.
    const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
    int bit_length() const { return is_v4_ ? 32 : 128; }
    /// True when the first `prefix` bits are those of `network`, and both are of one family.
    bool in_network(const IpAddress& network, int prefix) const;
    std::string to_string() const;

    auto operator<=>(const IpAddress&) const = default;

private:
    std::array<std::uint8_t, 16> bytes_{};
    bool is_v4_ = true;
};

struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;

    /// "192.0.2.1:443" or "[2001:db8::1]:443".
    std::string to_string() const;
    /// nullopt for a family that is neither AF_INET nor AF_INET6.
    static std::optional<Endpoint> from_sockaddr(const sockaddr_storage& address);
    /// Fills `out`, returns its length as bind(2) and connect(2) want it.
    unsigned to_sockaddr(sockaddr_storage& out) const;

    auto operator<=>(const Endpoint&) const = default;
};

/// Where the client dialled, read from the kernel (SO_ORIGINAL_DST) before the redirect changed it.
struct OriginalDst : Endpoint {};
/// Who dialled: the client's own end of the connection.
struct ClientAddr : Endpoint {};

}  // namespace sallyport

template <>
struct std::hash<sallyport::IpAddress> {
    std::size_t operator()(const sallyport::IpAddress& address) const noexcept {
        const auto& b = address.bytes();
        return std::hash<std::string_view>{}({reinterpret_cast<const char*>(b.data()), b.size()});
    }
};
