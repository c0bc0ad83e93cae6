#pragma once
// Ways to get one packet out of a network namespace, for programs that run in a sandbox. Without the seal they work.

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sallyport::test {

enum class Standing {
    everywhere,   ///< every kernel takes it, from whoever has the privilege
    where_there,  ///< some kernels, or their settings, do not offer it
    admitted,     ///< as before; and with CAP_NET_RAW it gets past the rules of the shared form, as the doctor says
};

struct PacketAttack {
    std::uint8_t number;  ///< aims at marker(number), or carries it; 1 to 49, 100 to 199
    const char* name;
    bool needs_privilege;        ///< CAP_NET_RAW or more
    std::function<bool()> send;  ///< true: the kernel took the packet
    Standing standing = Standing::everywhere;
};

/// All of them, by family.
const std::vector<PacketAttack>& packet_attacks();
std::vector<PacketAttack> ip_attacks();        ///< addresses, protocols and fragments
std::vector<PacketAttack> socket_attacks();    ///< what options of a socket make of its packets
std::vector<PacketAttack> link_attacks();      ///< past IP: packet sockets and AF_XDP
std::vector<PacketAttack> ring_attacks();      ///< without a system call for each step: io_uring
std::vector<PacketAttack> identity_attacks();  ///< as somebody else

/// marker(number) as a destination of each family.
sockaddr_in target4(std::uint8_t number, std::uint16_t port);
sockaddr_in6 target6(std::uint8_t number, std::uint16_t port);
/// One datagram, or one connection attempt that waits for nothing.
bool send_udp(const sockaddr_in& to, const std::string& data);
bool start_tcp(const sockaddr_in& to);

/// A query for `name`, with the length that TCP wants before it when `tcp`.
std::string dns_question(const std::string& name, std::uint16_t type, bool tcp);

}  // namespace sallyport::test
