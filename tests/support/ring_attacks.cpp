// Without a system call for each step: io_uring.
#include <cerrno>
#include <cstring>

#include "tests/support/attack_tools.hpp"
#include "tests/support/io_ring.hpp"
#include "tests/support/outside_recorder.hpp"
#include "tests/support/packet_attacks.hpp"

namespace sallyport::test {
namespace {

template <class T>
std::uint64_t address_of(const T& value) {
    return reinterpret_cast<std::uintptr_t>(&value);
}

io_uring_sqe operation(std::uint8_t code, int fd) {
    io_uring_sqe entry{};
    entry.opcode = code;
    entry.fd = fd;
    return entry;
}

/// Even the socket is made by the ring.
UniqueFd socket_of(IoRing& ring, int family, int type) {
    auto entry = operation(IORING_OP_SOCKET, family);
    entry.off = static_cast<std::uint64_t>(type | SOCK_CLOEXEC | SOCK_NONBLOCK);
    return ring ? UniqueFd(ring.run(entry).value_or(-1)) : UniqueFd();
}

bool connect_by(std::uint32_t ring_flags, const sockaddr_in& to) {
    IoRing ring(ring_flags);
    const auto fd = socket_of(ring, AF_INET, SOCK_STREAM);
    if (!fd) return false;
    auto entry = operation(IORING_OP_CONNECT, fd.get());
    entry.addr = address_of(to);
    entry.off = sizeof to;
    const auto result = ring.run(entry);
    return !result || *result == 0 || *result == -EINPROGRESS;
}

bool send_message_by(std::uint32_t ring_flags, sockaddr_in to, std::string data, int family = AF_INET,
                     int type = SOCK_DGRAM) {
    IoRing ring(ring_flags);
    const auto fd = socket_of(ring, family, type);
    if (!fd) return false;
    iovec part{data.data(), data.size()};
    const msghdr message{&to, sizeof to, &part, 1, nullptr, 0, 0};
    auto entry = operation(IORING_OP_SENDMSG, fd.get());
    entry.addr = address_of(message);
    entry.len = 1;
    return ring.run(entry).value_or(-1) > 0;
}

bool send_without_copies(const sockaddr_in& to, const std::string& data) {
    IoRing ring(0);
    const auto fd = socket_of(ring, AF_INET, SOCK_DGRAM);
    if (!fd) return false;
    auto entry = operation(IORING_OP_SEND_ZC, fd.get());
    entry.addr = reinterpret_cast<std::uintptr_t>(data.data());
    entry.len = static_cast<std::uint32_t>(data.size());
    entry.addr2 = address_of(to);
    entry.addr_len = sizeof to;
    return ring.run(entry).value_or(-1) > 0;
}

/// A packet socket of the ring.
bool frame_by_ring(const std::string& interface, const std::string& data) {
    IoRing ring(0);
    const auto fd = socket_of(ring, AF_PACKET, SOCK_RAW);
    const auto to = station_on(interface, 0x0800);
    if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return false;
    auto entry = operation(IORING_OP_SEND, fd.get());
    entry.addr = reinterpret_cast<std::uintptr_t>(data.data());
    entry.len = static_cast<std::uint32_t>(data.size());
    return ring.run(entry).value_or(-1) > 0;
}

}  // namespace

std::vector<PacketAttack> ring_attacks() {
    constexpr auto kPolled = static_cast<std::uint32_t>(IORING_SETUP_SQPOLL);  // by a thread of the kernel
    return {
        {155, "io_uring: tcp", false, [] { return connect_by(0, target4(155, 443)); }, Standing::where_there},
        {156, "io_uring: tcp, by the kernel's thread", false, [] { return connect_by(kPolled, target4(156, 443)); },
         Standing::where_there},
        {157, "io_uring: udp", false, [] { return send_message_by(0, target4(157, 9), filled(157)); },
         Standing::where_there},
        {158, "io_uring: udp, by the kernel's thread", false,
         [] { return send_message_by(kPolled, target4(158, 9), filled(158)); }, Standing::where_there},
        {159, "io_uring: udp without copies", false, [] { return send_without_copies(target4(159, 9), filled(159)); },
         Standing::where_there},
        {160, "io_uring: frame", true,
         [] {
             return on_each_interface([](const std::string& name) {
                 return frame_by_ring(name, frame_on(name, 0x0800, ip_packet(160, IPPROTO_UDP, 0)));
             });
         },
         Standing::where_there},
    };
}

}  // namespace sallyport::test
