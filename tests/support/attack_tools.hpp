#pragma once
// What the attacks of packet_attacks.hpp are made of.

#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>

#include "gateway/base/unique_fd.hpp"

namespace sallyport::test {

/// Does something to a socket before it is used; false: this kernel or this user may not.
using Prepare = std::function<bool(int)>;

inline bool prepared(int) { return true; }

template <class T>
bool set(int fd, int level, int option, const T& value) {
    return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

template <class T>
Prepare with(int level, int option, T value) {
    return [=](int fd) { return set(fd, level, option, value); };
}

Prepare bound_to(const std::string& interface);

template <class Address>
bool send_from(int type, int protocol, const Address& to, const std::string& data, const Prepare& prepare = prepared,
               int flags = 0) {
    const auto* plain = reinterpret_cast<const sockaddr*>(&to);
    const UniqueFd fd(::socket(plain->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (!fd || !prepare(fd.get())) return false;
    if (type == SOCK_DGRAM) set(fd.get(), SOL_SOCKET, SO_BROADCAST, 1);
    return ::sendto(fd.get(), data.data(), data.size(), flags | MSG_NOSIGNAL, plain, sizeof to) >= 0 ||
           errno == EINPROGRESS;
}

template <class Address>
bool connect_from(int protocol, const Address& to, const Prepare& prepare = prepared) {
    const auto* plain = reinterpret_cast<const sockaddr*>(&to);
    const UniqueFd fd(::socket(plain->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (!fd || !prepare(fd.get())) return false;
    const bool begun = ::connect(fd.get(), plain, sizeof to) == 0 || errno == EINPROGRESS;
    (void)!::send(fd.get(), "escape", 6, MSG_NOSIGNAL);
    return begun;
}

/// True when it worked on one of them.
bool on_each_interface(const std::function<bool(const std::string&)>& attack);

sockaddr_in address4(const char* text, std::uint16_t port);
sockaddr_in6 address6(const char* text, std::uint16_t port, const std::string& interface = {});

/// marker(number), and then some.
std::string filled(std::uint8_t number, std::size_t size = 64);

/// A whole packet of IPv4. `source` is not ours unless it is told.
std::string ip_packet(std::uint8_t number, std::uint8_t protocol, std::uint16_t fragment,
                      const char* source = "192.0.2.9");
/// The same of IPv6, with UDP's number.
std::string ip6_packet(std::uint8_t number);

/// An Ethernet frame from a station that is not ours to every station, on `lo` to itself.
std::string frame_on(const std::string& interface, std::uint16_t ethertype, const std::string& payload);
/// Where such a frame goes.
sockaddr_ll station_on(const std::string& interface, std::uint16_t ethertype);

/// "BAD: what", for whoever judges the output.
void report_success(const std::string& what, bool success);

/// In a child, as root of a user namespace of its own, where that is allowed.
void from_nested_namespace(const std::function<void()>& body);

}  // namespace sallyport::test
