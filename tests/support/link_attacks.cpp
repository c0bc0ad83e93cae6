// Past IP: every form of packet socket, and AF_XDP.
#include <net/ethernet.h>
#include <sys/mman.h>

#include <cstring>

#include "tests/support/attack_tools.hpp"
#include "tests/support/outside_recorder.hpp"
#include "tests/support/packet_attacks.hpp"
#include "tests/support/xdp_sender.hpp"

namespace sallyport::test {
namespace {

/// A frame past the protocol stack.
bool frame(const std::string& interface, std::uint16_t ethertype, const std::string& payload, bool bypass = false) {
    auto to = station_on(interface, ethertype);
    to.sll_protocol = 0;  // left to the kernel to see
    const auto past = bypass ? with(SOL_PACKET, PACKET_QDISC_BYPASS, 1) : Prepare(prepared);
    return send_from(SOCK_RAW, 0, to, frame_on(interface, ethertype, payload), past);
}

std::string packet(std::uint8_t number) { return ip_packet(number, IPPROTO_UDP, 0); }

using OneFrame = bool (*)(int fd, const sockaddr_ll& to, const std::string& frame);

/// What is sent on each interface is a frame with a packet to be forwarded, by a socket of that type.
bool packet_on_each_interface(std::uint8_t number, const Prepare& prepare, OneFrame send, int type = SOCK_RAW) {
    return on_each_interface([&](const std::string& name) {
        const UniqueFd fd(::socket(AF_PACKET, type | SOCK_CLOEXEC, 0));
        const auto data = type == SOCK_RAW ? frame_on(name, ETHERTYPE_IP, packet(number)) : packet(number);
        return fd && prepare(fd.get()) && send(fd.get(), station_on(name, ETHERTYPE_IP), data);
    });
}

bool send_at_once(int fd, const sockaddr_ll& to, const std::string& frame) {
    return ::sendto(fd, frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) > 0;
}

/// To the interface that the socket is bound to.
bool send_bound(int fd, const sockaddr_ll& to, const std::string& frame) {
    return ::bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
           ::send(fd, frame.data(), frame.size(), 0) > 0;
}

/// As one of several sockets that share what they receive.
bool send_in_fanout(int fd, const sockaddr_ll& to, const std::string& frame) {
    constexpr int kOfMany = 0x5a11 | PACKET_FANOUT_HASH << 16;
    return ::bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
           set(fd, SOL_PACKET, PACKET_FANOUT, kOfMany) && send_at_once(fd, to, frame);
}

/// With a header that asks for offloading, here of nothing.
bool send_with_offload(int fd, const sockaddr_ll& to, const std::string& frame) {
    return send_at_once(fd, to, std::string(10, '\0') + frame);
}

/// Through memory that is shared with the kernel (Documentation/networking/packet_mmap.rst).
bool send_from_ring(int fd, const sockaddr_ll& to, const std::string& frame, int version) {
    constexpr unsigned kBlock = 4096, kFrame = 2048;
    const tpacket_req3 size{kBlock, 1, kFrame, kBlock / kFrame, 0, 0, 0};
    const auto length = static_cast<socklen_t>(version == TPACKET_V3 ? sizeof size : sizeof(tpacket_req));
    if (!set(fd, SOL_PACKET, PACKET_VERSION, version) ||
        ::setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &size, length) != 0)
        return false;
    void* ring = ::mmap(nullptr, kBlock, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ring == MAP_FAILED) return false;
    auto* bytes = static_cast<char*>(ring);
    const auto bytes_of_frame = static_cast<std::uint32_t>(frame.size());
    if (version == TPACKET_V3) {
        reinterpret_cast<tpacket3_hdr*>(bytes)->tp_len = bytes_of_frame;
        frame.copy(bytes + TPACKET_ALIGN(sizeof(tpacket3_hdr)), frame.size());
        reinterpret_cast<tpacket3_hdr*>(bytes)->tp_status = TP_STATUS_SEND_REQUEST;
    } else {
        reinterpret_cast<tpacket2_hdr*>(bytes)->tp_len = bytes_of_frame;
        frame.copy(bytes + TPACKET_ALIGN(sizeof(tpacket2_hdr)), frame.size());
        reinterpret_cast<tpacket2_hdr*>(bytes)->tp_status = TP_STATUS_SEND_REQUEST;
    }
    const bool sent = ::sendto(fd, nullptr, 0, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) > 0;
    ::munmap(ring, kBlock);
    return sent;
}

bool send_from_ring2(int fd, const sockaddr_ll& to, const std::string& frame) {
    return send_from_ring(fd, to, frame, TPACKET_V2);
}

bool send_from_ring3(int fd, const sockaddr_ll& to, const std::string& frame) {
    return send_from_ring(fd, to, frame, TPACKET_V3);
}

/// As before there was AF_PACKET.
bool old_frame(std::uint8_t number, const std::string& interface) {
    const UniqueFd fd(::socket(AF_INET, SOCK_PACKET | SOCK_CLOEXEC, htons(ETHERTYPE_IP)));
    sockaddr to{};
    to.sa_family = AF_INET;
    interface.copy(to.sa_data, sizeof to.sa_data - 1);
    const auto frame = frame_on(interface, ETHERTYPE_IP, packet(number));
    return fd && ::sendto(fd.get(), frame.data(), frame.size(), 0, &to, sizeof to) > 0;
}

}  // namespace

std::vector<PacketAttack> link_attacks() {
    const auto past_the_queue = with(SOL_PACKET, PACKET_QDISC_BYPASS, 1);
    const auto offloading = with(SOL_PACKET, PACKET_VNET_HDR, 1);
    return {
        {37, "frame with a packet to be forwarded", true,
         [] {
             return on_each_interface(
                 [](const std::string& name) { return frame(name, ETHERTYPE_IP, ip_packet(37, IPPROTO_UDP, 0)); });
         }},
        {38, "frame past the queue", true,
         [] {
             return on_each_interface([](const std::string& name) {
                 return frame(name, ETHERTYPE_IP, ip_packet(38, IPPROTO_UDP, 0), true);
             });
         }},
        {39, "frame of ARP", true,
         [] {
             return on_each_interface([](const std::string& name) { return frame(name, ETHERTYPE_ARP, filled(39)); });
         }},
        {40, "frame of no known type", true,
         [] { return on_each_interface([](const std::string& name) { return frame(name, 0x88b5, filled(40)); }); }},
        {41, "frame of a VLAN", true,
         [] {
             return on_each_interface([](const std::string& name) {
                 return frame(name, ETHERTYPE_VLAN, std::string("\0\x01\x08\0", 4) + packet(41));
             });
         }},
        {140, "frame of a datagram socket", true,
         [] { return packet_on_each_interface(140, prepared, send_at_once, SOCK_DGRAM); }},
        {141, "frame of a bound socket", true, [] { return packet_on_each_interface(141, prepared, send_bound); }},
        {142, "frame of a ring", true, [] { return packet_on_each_interface(142, prepared, send_from_ring2); }},
        {143, "frame of a ring, past the queue", true,
         [=] { return packet_on_each_interface(143, past_the_queue, send_from_ring2); }},
        {144, "frame of a ring of the third version", true,
         [] { return packet_on_each_interface(144, prepared, send_from_ring3); }},
        {145, "frame of a group of sockets", true,
         [] { return packet_on_each_interface(145, prepared, send_in_fanout); }},
        {146, "frame with a header for offloading", true,
         [=] { return packet_on_each_interface(146, offloading, send_with_offload); }},
        {147, "frame of the old packet socket", true,
         [] { return on_each_interface([](const std::string& name) { return old_frame(147, name); }); }},
        {148, "frame of IPv6", true,
         [] {
             return on_each_interface(
                 [](const std::string& name) { return frame(name, ETHERTYPE_IPV6, ip6_packet(148)); });
         }},
        {149, "frame of a datagram socket, past the queue", true,
         [=] { return packet_on_each_interface(149, past_the_queue, send_at_once, SOCK_DGRAM); }},
        {150, "AF_XDP", true,
         [] {
             return on_each_interface(
                 [](const std::string& name) { return send_by_xdp(name, frame_on(name, ETHERTYPE_IP, packet(150))); });
         },
         Standing::admitted},
    };
}

}  // namespace sallyport::test
