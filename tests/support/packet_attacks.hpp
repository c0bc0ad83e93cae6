#pragma once
// Ways to get one packet out of a network namespace, for programs that run in a sandbox. Without the seal they work.

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sallyport::test {

struct PacketAttack {
    std::uint8_t number;  ///< aims at marker(number), or carries it; 1 to 49
    const char* name;
    bool needs_privilege;        ///< CAP_NET_RAW or more
    std::function<bool()> send;  ///< true: the kernel took the packet
};

const std::vector<PacketAttack>& packet_attacks();

/// marker(number) as a destination of each family.
sockaddr_in target4(std::uint8_t number, std::uint16_t port);
sockaddr_in6 target6(std::uint8_t number, std::uint16_t port);
/// One datagram, or one connection attempt that waits for nothing.
bool send_udp(const sockaddr_in& to, const std::string& data);
bool start_tcp(const sockaddr_in& to);

/// A query for `name`, with the length that TCP wants before it when `tcp`.
std::string dns_question(const std::string& name, std::uint16_t type, bool tcp);

}  // namespace sallyport::test
