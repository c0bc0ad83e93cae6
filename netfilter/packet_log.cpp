#include "netfilter/packet_log.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "gateway/base/startup_error.hpp"
#include "netfilter/ruleset.hpp"

namespace sallyport::netfilter {
namespace {

using Bytes = std::span<const std::byte>;

constexpr int kReceiveBuffer = 256 * 1024;
constexpr int kDatagramsPerRead = 64;
constexpr int kMostExtensionHeaders = 8;
// Not in every libc's netinet/in.h under that name.
constexpr std::uint8_t kUdpLite = 136;

std::uint8_t byte_at(Bytes bytes, std::size_t i) { return std::to_integer<std::uint8_t>(bytes[i]); }

std::uint16_t word_at(Bytes bytes, std::size_t i) {
    return static_cast<std::uint16_t>(byte_at(bytes, i) << 8 | byte_at(bytes, i + 1));
}

template <std::size_t N>
std::array<std::uint8_t, N> address_at(Bytes bytes, std::size_t i) {
    std::array<std::uint8_t, N> address{};
    std::memcpy(address.data(), bytes.data() + i, N);
    return address;
}

bool has_ports(std::uint8_t protocol) {
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == kUdpLite || protocol == IPPROTO_SCTP ||
           protocol == IPPROTO_DCCP;
}

void read_transport(Bytes bytes, PacketReport& report) {
    if (has_ports(report.protocol) && bytes.size() >= 4) {
        report.source_port = word_at(bytes, 0);
        report.destination_port = word_at(bytes, 2);
    }
    if ((report.protocol == IPPROTO_ICMP || report.protocol == IPPROTO_ICMPV6) && !bytes.empty())
        report.icmp_type = byte_at(bytes, 0);
}

bool read_ipv4(Bytes packet, PacketReport& report) {
    if (packet.size() < 20) return false;
    const std::size_t header = (byte_at(packet, 0) & 0x0fu) * 4u;
    report.protocol = byte_at(packet, 9);
    report.source = IpAddress::v4(address_at<4>(packet, 12));
    report.destination = IpAddress::v4(address_at<4>(packet, 16));
    const bool first_fragment = (word_at(packet, 6) & 0x1fff) == 0;
    if (first_fragment && header >= 20 && header <= packet.size()) read_transport(packet.subspan(header), report);
    return true;
}

bool read_ipv6(Bytes packet, PacketReport& report) {
    if (packet.size() < 40) return false;
    report.protocol = byte_at(packet, 6);
    report.source = IpAddress::v6(address_at<16>(packet, 8));
    report.destination = IpAddress::v6(address_at<16>(packet, 24));
    auto rest = packet.subspan(40);
    for (int i = 0; i < kMostExtensionHeaders; ++i) {
        const bool fragment = report.protocol == IPPROTO_FRAGMENT;
        const bool extension = fragment || report.protocol == IPPROTO_HOPOPTS || report.protocol == IPPROTO_ROUTING ||
                               report.protocol == IPPROTO_DSTOPTS;
        if (!extension) {
            read_transport(rest, report);
            return true;
        }
        if (rest.size() < 8) return true;
        report.protocol = byte_at(rest, 0);
        if (fragment && (word_at(rest, 2) & 0xfff8) != 0) return true;
        const std::size_t length = fragment ? 8 : (byte_at(rest, 1) + 1u) * 8u;
        if (length > rest.size()) return true;
        rest = rest.subspan(length);
    }
    return true;
}

using Attributes = std::array<const nlattr*, NFULA_MAX + 1>;

Attributes attributes_of(const nlmsghdr* message) {
    Attributes attributes{};
    mnl_attr_parse(
        message, sizeof(nfgenmsg),
        [](const nlattr* attribute, void* out) {
            const auto type = mnl_attr_get_type(attribute);
            if (type <= NFULA_MAX) (*static_cast<Attributes*>(out))[type] = attribute;
            return MNL_CB_OK;
        },
        &attributes);
    return attributes;
}

Bytes payload_of(const nlattr* attribute) {
    return {static_cast<const std::byte*>(mnl_attr_get_payload(attribute)), mnl_attr_get_payload_len(attribute)};
}

std::optional<PacketReport> read_message(const nlmsghdr* message) {
    if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)) return {};
    const auto attributes = attributes_of(message);
    const auto* header = attributes[NFULA_PACKET_HDR];
    if (!header || !attributes[NFULA_PAYLOAD] || payload_of(header).size() < sizeof(nfulnl_msg_packet_hdr)) return {};

    PacketReport report;
    if (const auto* prefix = attributes[NFULA_PREFIX]) {
        const auto bytes = payload_of(prefix);
        const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
        report.prefix.assign(reinterpret_cast<const char*>(bytes.data()),
                             static_cast<std::size_t>(end - bytes.begin()));
    }
    // The kernel's word for the family, not the version field: a raw socket can write what it likes there.
    const auto family = word_at(payload_of(header), offsetof(nfulnl_msg_packet_hdr, hw_protocol));
    const auto packet = payload_of(attributes[NFULA_PAYLOAD]);
    if (family == ETHERTYPE_IP && read_ipv4(packet, report)) return report;
    if (family == ETHERTYPE_IPV6 && read_ipv6(packet, report)) return report;
    return {};
}

void put_config(nlmsghdr* message, std::uint16_t group) {
    message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
    family->nfgen_family = AF_UNSPEC;
    family->version = NFNETLINK_V0;
    family->res_id = htons(group);

    const nfulnl_msg_config_cmd bind{.command = NFULNL_CFG_CMD_BIND};
    mnl_attr_put(message, NFULA_CFG_CMD, sizeof bind, &bind);
    const nfulnl_msg_config_mode mode{.copy_range = htonl(kLogSnapLength), .copy_mode = NFULNL_COPY_PACKET, ._pad = 0};
    mnl_attr_put(message, NFULA_CFG_MODE, sizeof mode, &mode);
    mnl_attr_put_u32(message, NFULA_CFG_QTHRESH, htonl(1));  // at once, not in bundles
}

}  // namespace

UniqueFd open_packet_log(std::uint16_t group) {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
    if (!fd) throw system_error("cannot open the packet log", errno);
    const int size = kReceiveBuffer;
    const int on = 1;  // a full queue loses reports, not the socket's next read
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);

    alignas(nlmsghdr) std::array<char, 256> buffer{};
    auto* request = mnl_nlmsg_put_header(buffer.data());
    put_config(request, group);
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    if (::sendto(fd.get(), request, request->nlmsg_len, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) < 0)
        throw system_error("cannot configure the packet log", errno);

    // The kernel answers inside sendto(2).
    const auto length = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    const auto* answer = reinterpret_cast<const nlmsghdr*>(buffer.data());
    if (length < 0) throw system_error("no answer from the packet log", errno);
    if (!mnl_nlmsg_ok(answer, static_cast<int>(length)) || answer->nlmsg_type != NLMSG_ERROR ||
        mnl_nlmsg_get_payload_len(answer) < sizeof(nlmsgerr))
        throw StartupError("the packet log gave an answer that makes no sense");
    if (const int error = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(answer))->error)
        throw system_error("cannot bind packet log group " + std::to_string(group) + " (is somebody else bound?)",
                           error);
    return fd;
}

std::vector<PacketReport> read_packet_log(int packet_log) {
    std::vector<PacketReport> reports;
    std::array<std::byte, 4096> buffer;
    for (int i = 0; i < kDatagramsPerRead; ++i) {
        sockaddr_nl sender{};
        socklen_t sender_size = sizeof sender;
        const auto length = ::recvfrom(packet_log, buffer.data(), buffer.size(), MSG_DONTWAIT,
                                       reinterpret_cast<sockaddr*>(&sender), &sender_size);
        if (length < 0 && errno == EINTR) continue;
        if (length <= 0) break;
        if (sender.nl_pid != 0) continue;  // not the kernel
        for (auto& report : parse(Bytes(buffer).first(static_cast<std::size_t>(length))))
            reports.push_back(std::move(report));
    }
    return reports;
}

std::vector<PacketReport> parse(std::span<const std::byte> datagram) {
    // libmnl checks lengths, but reads headers in place: the copy gives them their alignment.
    const std::vector<std::byte> aligned(datagram.begin(), datagram.end());
    std::vector<PacketReport> reports;
    int left = static_cast<int>(std::min<std::size_t>(aligned.size(), 1u << 20));
    // mnl_nlmsg_ok() takes a length of more than INT_MAX for a negative one (libmnl 1.0.4), hence the second check.
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(aligned.data());
         mnl_nlmsg_ok(message, left) && message->nlmsg_len <= static_cast<unsigned>(left);
         message = mnl_nlmsg_next(message, &left))
        if (auto report = read_message(message)) reports.push_back(std::move(*report));
    return reports;
}

}  // namespace sallyport::netfilter
