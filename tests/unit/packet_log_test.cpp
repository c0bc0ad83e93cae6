#include "netfilter/packet_log.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include <cstring>
#include <random>

using namespace sallyport;
using namespace sallyport::netfilter;

namespace {

using Buffer = std::vector<std::byte>;

void append(Buffer& out, const void* bytes, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(bytes);
    out.insert(out.end(), first, first + size);
    out.resize((out.size() + 3) / 4 * 4);
}

void append_attribute(Buffer& out, std::uint16_t type, const void* bytes, std::size_t size) {
    const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + size), type};
    append(out, &header, sizeof header);
    append(out, bytes, size);
}

/// One message as nfnetlink_log writes it.
Buffer message(std::uint16_t ethertype, const std::vector<std::uint8_t>& packet, const char* prefix = "udp") {
    Buffer out(sizeof(nlmsghdr) + sizeof(nfgenmsg));
    nfulnl_msg_packet_hdr header{};
    header.hw_protocol = htons(ethertype);
    append_attribute(out, NFULA_PACKET_HDR, &header, sizeof header);
    append_attribute(out, NFULA_PREFIX, prefix, std::strlen(prefix) + 1);
    append_attribute(out, NFULA_PAYLOAD, packet.data(), packet.size());
    nlmsghdr head{};
    head.nlmsg_len = static_cast<std::uint32_t>(out.size());
    head.nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
    std::memcpy(out.data(), &head, sizeof head);
    return out;
}

std::vector<std::uint8_t> ipv4(std::uint8_t protocol, std::vector<std::uint8_t> payload, std::uint16_t fragment = 0) {
    std::vector<std::uint8_t> packet{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 198, 18, 0, 1, 9, 9, 9, 9};
    packet[6] = static_cast<std::uint8_t>(fragment >> 8);
    packet[7] = static_cast<std::uint8_t>(fragment);
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
}

std::vector<std::uint8_t> ipv6(std::uint8_t next, std::vector<std::uint8_t> payload) {
    std::vector<std::uint8_t> packet(40);
    packet[0] = 0x60;
    packet[6] = next;
    packet[8] = 0xfd;
    packet[24] = 0x20;
    packet[25] = 0x01;
    packet[39] = 1;
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
}

PacketReport only(const Buffer& datagram) {
    const auto reports = parse(datagram);
    REQUIRE(reports.size() == 1);
    return reports.front();
}

const std::vector<std::uint8_t> kPorts{0x30, 0x39, 0x01, 0xbb, 0, 0, 0, 0};  // 12345 -> 443

}  // namespace

TEST_CASE("packet log: UDP over IPv4") {
    const auto report = only(message(0x0800, ipv4(IPPROTO_UDP, kPorts), "quic"));
    CHECK(report.prefix == "quic");
    CHECK(report.protocol == IPPROTO_UDP);
    CHECK(report.source.to_string() == "198.18.0.1");
    CHECK(report.destination.to_string() == "9.9.9.9");
    CHECK(report.source_port == 12345);
    CHECK(report.destination_port == 443);
    CHECK_FALSE(report.icmp_type);
}

TEST_CASE("packet log: ICMP has a type and no ports, a later fragment has neither, GRE has neither") {
    const auto echo = only(message(0x0800, ipv4(IPPROTO_ICMP, {8, 0, 0, 0})));
    CHECK(echo.icmp_type == 8);
    CHECK_FALSE(echo.source_port);
    CHECK_FALSE(only(message(0x0800, ipv4(IPPROTO_UDP, kPorts, 0x2001))).destination_port);
    CHECK(only(message(0x0800, ipv4(IPPROTO_UDP, kPorts, 0x2000))).destination_port == 443);
    CHECK_FALSE(only(message(0x0800, ipv4(IPPROTO_GRE, kPorts))).destination_port);
}

TEST_CASE("packet log: the transport header behind IPv6 extension headers") {
    auto payload = std::vector<std::uint8_t>{IPPROTO_FRAGMENT, 0, 0, 0, 0, 0, 0, 0, IPPROTO_UDP, 0, 0, 1, 0, 0, 0, 9};
    payload.insert(payload.end(), kPorts.begin(), kPorts.end());
    const auto report = only(message(0x86dd, ipv6(IPPROTO_DSTOPTS, payload)));
    CHECK(report.protocol == IPPROTO_UDP);
    CHECK(report.destination_port == 443);
    CHECK(report.destination.to_string() == "2001::1");
    payload[11] = 9;  // fragment offset 1: what follows is data
    CHECK_FALSE(only(message(0x86dd, ipv6(IPPROTO_DSTOPTS, payload))).destination_port);
}

TEST_CASE("packet log: a chain of extension headers has an end") {
    const std::vector<std::uint8_t> endless(2000);  // hop-by-hop after hop-by-hop
    const auto report = only(message(0x86dd, ipv6(IPPROTO_HOPOPTS, endless)));
    CHECK_FALSE(report.destination_port);
}

TEST_CASE("packet log: the kernel's family decides, not the packet's version field") {
    auto packet = ipv4(IPPROTO_UDP, kPorts);
    packet[0] = 0x65;
    CHECK(only(message(0x0800, packet)).destination.is_v4());
    CHECK(parse(message(0x86dd, packet)).empty());
    CHECK(parse(message(0x0806, packet)).empty());
}

TEST_CASE("packet log: several messages in one datagram, others than packets left out") {
    auto datagram = message(0x0800, ipv4(IPPROTO_UDP, kPorts));
    nlmsghdr done{};
    done.nlmsg_len = sizeof done;
    done.nlmsg_type = NLMSG_DONE;
    append(datagram, &done, sizeof done);
    const auto second = message(0x86dd, ipv6(IPPROTO_UDP, kPorts));
    append(datagram, second.data(), second.size());
    CHECK(parse(datagram).size() == 2);
}

TEST_CASE("packet log: any prefix of a message, and any changed bytes, are read without harm") {
    const auto good = message(0x86dd, ipv6(IPPROTO_DSTOPTS, std::vector<std::uint8_t>(64, 1)));
    for (std::size_t n = 0; n < good.size(); ++n) CHECK(parse(std::span(good).first(n)).empty());
    std::mt19937 random(1);
    for (int round = 0; round < 20'000; ++round) {
        auto bad = good;
        for (int change = 0; change < 4; ++change) bad[random() % bad.size()] = static_cast<std::byte>(random());
        CHECK(parse(bad).size() <= 1);
    }
}
