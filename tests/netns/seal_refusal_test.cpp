#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "netfilter/packet_log.hpp"
#include "tests/netns/seal_clients.hpp"
#include "tests/support/netns_fixture.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr std::array<std::uint8_t, 8> kIcmpEcho{8, 0, 0xf7, 0xff, 0, 0, 0, 0};
constexpr std::array<std::uint8_t, 8> kIcmp6Echo{128, 0, 0, 0, 0, 0, 0, 0};
constexpr std::array<std::uint8_t, 16> kPorts{0, 99, 0, 80};

struct Packet {
    const char* what;
    const char* log_class;
    int type;
    int protocol;
    const char* address;
    std::uint16_t port;
    std::span<const std::uint8_t> payload;
};

const std::vector<Packet> kPackets = {
    {"QUIC", "quic", SOCK_DGRAM, 0, "93.184.216.34", 443, kPorts},
    {"QUIC over IPv6", "quic", SOCK_DGRAM, 0, "2606:2800:220:1::1", 443, kPorts},
    {"NTP", "udp", SOCK_DGRAM, 0, "216.239.35.0", 123, kPorts},
    {"mDNS", "udp", SOCK_DGRAM, 0, "224.0.0.251", 5353, kPorts},
    {"mDNS over IPv6", "udp", SOCK_DGRAM, 0, "ff02::fb", 5353, kPorts},
    {"broadcast", "udp", SOCK_DGRAM, 0, "255.255.255.255", 67, kPorts},
    {"ICMP echo", "icmp", SOCK_RAW, IPPROTO_ICMP, "8.8.8.8", 0, kIcmpEcho},
    {"ICMPv6 echo", "icmp", SOCK_RAW, IPPROTO_ICMPV6, "2001:4860:4860::8888", 0, kIcmp6Echo},
    {"SCTP", "other", SOCK_RAW, IPPROTO_SCTP, "93.184.216.34", 0, kPorts},
    {"UDP-Lite", "other", SOCK_RAW, IPPROTO_UDPLITE, "93.184.216.34", 0, kPorts},
    {"GRE", "other", SOCK_RAW, IPPROTO_GRE, "93.184.216.34", 0, kPorts},
    {"a broken TCP segment", "tcp", SOCK_RAW, IPPROTO_TCP, "93.184.216.34", 0, kPorts},
};

std::vector<netfilter::PacketReport> reports_of(const Sealed& sealed) {
    if (!readable(sealed.sockets.packet_log.get())) return {};
    return netfilter::read_packet_log(sealed.sockets.packet_log.get());
}

/// The first 20 bytes of an IPv4 packet; the kernel fills in the rest for a raw socket.
iphdr ipv4_header(const char* source, const char* destination, std::uint8_t protocol, std::size_t payload) {
    iphdr header{};
    header.version = 4;
    header.ihl = 5;
    header.ttl = 64;
    header.protocol = protocol;
    header.tot_len = htons(static_cast<std::uint16_t>(sizeof header + payload));
    std::memcpy(&header.saddr, IpAddress::parse(source)->bytes().data(), 4);
    std::memcpy(&header.daddr, IpAddress::parse(destination)->bytes().data(), 4);
    return header;
}

/// The Internet checksum (RFC 1071) of an even number of bytes, in network byte order.
std::uint16_t checksum(std::uint32_t sum, const void* bytes, std::size_t size) {
    for (std::size_t i = 0; i < size; i += 2) {
        std::uint8_t pair[2];
        std::memcpy(pair, static_cast<const char*>(bytes) + i, 2);
        sum += static_cast<std::uint32_t>(pair[0] << 8 | pair[1]);
    }
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return htons(static_cast<std::uint16_t>(~sum));
}

}  // namespace

TEST_CASE("refused at once with EPERM, logged by class: all that is neither TCP nor DNS") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    for (const auto& packet : kPackets) {
        CAPTURE(packet.what);
        if (family_of(packet.address) == AF_INET6 && !sealed->sockets.tcp6) continue;
        const auto outcome = sealed->inside.run(
            [&] { return send_packet(packet.type, packet.protocol, packet.address, packet.port, packet.payload); });
        CHECK(outcome.error == EPERM);
        CHECK(outcome.milliseconds < 100);

        const auto reports = reports_of(*sealed);
        REQUIRE(reports.size() == 1);
        CHECK(reports[0].prefix == packet.log_class);
        CHECK(reports[0].destination == IpAddress::parse(packet.address));
        CHECK(reports[0].source.to_string() == (reports[0].source.is_v4() ? "198.18.0.1" : "fd53:616c:6c79::1"));
        if (packet.type == SOCK_DGRAM) CHECK(reports[0].destination_port == packet.port);
        if (packet.protocol == IPPROTO_ICMP) CHECK(reports[0].icmp_type == 8);
    }
    CHECK_FALSE(readable(sealed->sockets.tcp4.get(), 0));
    CHECK_FALSE(readable(sealed->sockets.dns_udp4.get(), 0));
}

TEST_CASE("refused at once: a connected UDP socket, and one with a datagram of many kilobytes") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    const auto outcome = sealed->inside.run([] {
        const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM, 0));
        const SocketAddress to("93.184.216.34", 443);
        const std::vector<char> datagram(60'000);
        if (::connect(fd.get(), to.get(), to.size) != 0) return Outcome{errno, -1};
        return timed([&] { return ::send(fd.get(), datagram.data(), datagram.size(), 0) < 0 ? errno : 0; });
    });
    CHECK(outcome.error == EPERM);
    CHECK(outcome.milliseconds < 100);
}

TEST_CASE("a flood of refused packets is logged at a bounded rate, and hides no other class") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    sealed->inside.run([] {
        for (int i = 0; i < 2000; ++i) send_packet(SOCK_DGRAM, 0, "216.239.35.0", 123, kPorts);
        return send_packet(SOCK_RAW, IPPROTO_ICMP, "8.8.8.8", 0, kIcmpEcho);
    });
    const auto reports = reports_of(*sealed);
    CHECK(reports.size() < 60);
    CHECK(std::count_if(reports.begin(), reports.end(), [](const auto& r) { return r.prefix == "icmp"; }) == 1);
}

// Packet sockets see what passes `lo`, so the forger would learn the sequence number from an answer that is let out.
TEST_CASE("a raw SYN with a forged source gets no answer, so nobody connects under a foreign address") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    const bool answered = sealed->inside.run([] {
        const UniqueFd tap(::socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)));
        const UniqueFd raw(::socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
        struct {
            iphdr ip;
            tcphdr tcp;
        } syn{ipv4_header("203.0.113.7", "93.184.216.34", IPPROTO_TCP, sizeof(tcphdr)), {}};
        syn.tcp.source = htons(4444);
        syn.tcp.dest = htons(443);
        syn.tcp.doff = 5;
        syn.tcp.syn = 1;
        // The pseudo header (RFC 9293, 3.1) is protocol, length and both addresses, which stand before the segment.
        syn.tcp.check = checksum(IPPROTO_TCP + sizeof(tcphdr), &syn.ip.saddr, 8 + sizeof(tcphdr));
        const SocketAddress to("93.184.216.34");
        if (::sendto(raw.get(), &syn, sizeof syn, 0, to.get(), to.size) != sizeof syn) throw std::runtime_error("send");

        std::array<std::uint8_t, 2048> packet{};
        bool syn_seen = false;
        while (readable(tap.get(), 100)) {
            if (::recv(tap.get(), packet.data(), packet.size(), 0) < 40) continue;
            const bool acknowledges = packet[33] & 0x10;
            const bool synchronizes = packet[33] & 0x02;
            if (synchronizes && acknowledges) return true;
            syn_seen = syn_seen || synchronizes;
        }
        if (!syn_seen) throw std::runtime_error("the SYN did not arrive, so this test proves nothing");
        return false;
    });
    CHECK_FALSE(answered);
    CHECK_FALSE(readable(sealed->sockets.tcp4.get(), 0));
}

// Docker turns ip_forward on. Without the forward chain this frame goes round until its TTL is used up.
TEST_CASE("a frame injected into lo is not forwarded") {
    auto sealed = Sealed::create();
    if (!sealed) return;
    const int seen = sealed->inside.run([] {
        const UniqueFd sysctl(::open("/proc/sys/net/ipv4/ip_forward", O_WRONLY));
        if (!sysctl || ::write(sysctl.get(), "1", 1) != 1) throw std::runtime_error("cannot turn on ip_forward");
        const UniqueFd tap(::socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)));
        const UniqueFd raw(::socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)));
        struct {
            iphdr ip;
            udphdr udp;
        } query{ipv4_header("203.0.113.7", "8.8.8.8", IPPROTO_UDP, sizeof(udphdr)), {}};
        query.ip.check = checksum(0, &query.ip, sizeof query.ip);
        query.udp.dest = htons(53);
        query.udp.len = htons(sizeof(udphdr));
        sockaddr_ll lo{};
        lo.sll_family = AF_PACKET;
        lo.sll_protocol = htons(ETH_P_IP);
        lo.sll_ifindex = 1;
        lo.sll_halen = ETH_ALEN;
        if (::sendto(raw.get(), &query, sizeof query, 0, reinterpret_cast<sockaddr*>(&lo), sizeof lo) < 0)
            throw std::runtime_error("cannot inject");
        int frames = 0;
        std::array<char, 2048> frame;
        while (readable(tap.get(), 100) && ::recv(tap.get(), frame.data(), frame.size(), 0) > 0) ++frames;
        return frames;
    });
    CHECK(seen == 1);
    CHECK_FALSE(readable(sealed->sockets.dns_udp4.get(), 0));
}
