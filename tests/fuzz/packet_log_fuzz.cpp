// What the kernel says of refused packets, whose bytes are the sandbox's: a datagram as it is, or (first byte odd) one
// IPv4 packet or (even, not 0) IPv6 packet in a whole one. Addresses are those of the header; a later fragment has no
// port.

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include <cstring>

#include "netfilter/packet_log.hpp"
#include "tests/fuzz/require.hpp"

using namespace sallyport;
using fuzz::require;

namespace {

using Bytes = std::vector<std::byte>;

void append(Bytes& out, const void* bytes, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(bytes);
    out.insert(out.end(), first, first + size);
    out.resize((out.size() + 3) / 4 * 4);
}

void append_attribute(Bytes& out, std::uint16_t type, const void* bytes, std::size_t size) {
    const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + size), type};
    append(out, &header, sizeof header);
    append(out, bytes, size);
}

Bytes datagram(std::uint16_t ethertype, std::span<const std::uint8_t> packet) {
    Bytes out(sizeof(nlmsghdr) + sizeof(nfgenmsg));
    nfulnl_msg_packet_hdr header{};
    header.hw_protocol = htons(ethertype);
    append_attribute(out, NFULA_PACKET_HDR, &header, sizeof header);
    append_attribute(out, NFULA_PREFIX, "udp", 4);
    append_attribute(out, NFULA_PAYLOAD, packet.data(), packet.size());
    nlmsghdr head{};
    head.nlmsg_len = static_cast<std::uint32_t>(out.size());
    head.nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
    std::memcpy(out.data(), &head, sizeof head);
    return out;
}

void check_v4(std::span<const std::uint8_t> packet) {
    const auto reports = netfilter::parse(datagram(0x0800, packet));
    require(reports.size() <= 1);
    for (const auto& report : reports) {
        require(packet.size() >= 20 && report.prefix == "udp" && report.protocol == packet[9]);
        require(report.source == IpAddress::v4({packet[12], packet[13], packet[14], packet[15]}));
        require(report.destination == IpAddress::v4({packet[16], packet[17], packet[18], packet[19]}));
        const bool later_fragment = ((packet[6] & 0x1f) << 8 | packet[7]) != 0;
        require(!later_fragment || (!report.destination_port && !report.icmp_type));
        const std::size_t payload = (packet[0] & 0xfu) * 4;
        if (report.destination_port)
            require(payload + 4 <= packet.size() &&
                    *report.destination_port == (packet[payload + 2] << 8 | packet[payload + 3]));
    }
}

void check_v6(std::span<const std::uint8_t> packet) {
    for (const auto& report : netfilter::parse(datagram(0x86dd, packet))) {
        require(packet.size() >= 40);
        std::array<std::uint8_t, 16> to;
        std::copy_n(packet.begin() + 24, 16, to.begin());
        require(report.destination == IpAddress::v6(to));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1 || size > 60'000) return 0;
    const std::span<const std::uint8_t> rest(data + 1, size - 1);
    if (data[0] == 0) netfilter::parse(std::as_bytes(rest));
    else if (data[0] & 1) check_v4(rest);
    else check_v6(rest);
    return 0;
}
