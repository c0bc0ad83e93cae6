#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <sstream>

#include "container/files.hpp"
#include "gateway/app/doctor/probes.hpp"
#include "gateway/app/doctor/proc_net.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::doctor {
namespace {

using namespace std::string_view_literals;

constexpr std::uint16_t kDiscard = 9;
constexpr int kTcpWaitMs = 1000;
constexpr int kIcmpWaitMs = 200;
constexpr std::chrono::milliseconds kDnsWait{1500};
constexpr std::size_t kMostNameServers = 3;  // MAXNS of resolv.conf(5)

// Nobody's: RFC 5737, RFC 3849.
Endpoint nobody4(std::uint16_t port) { return {IpAddress::v4({192, 0, 2, 1}), port}; }
Endpoint nobody6() { return {*IpAddress::parse("2001:db8:ffff::1"), kDiscard}; }

int family_of(const Endpoint& endpoint) { return endpoint.address.is_v4() ? AF_INET : AF_INET6; }

Reach failure(int error) {
    switch (error) {
        case ENETUNREACH:
        case EADDRNOTAVAIL:
            return Reach::no_route;
        case EHOSTUNREACH:  // a router, or a neighbour that was asked for: both are outside
        case ETIMEDOUT:
            return Reach::silence;
        default:
            return Reach::refused;
    }
}

// ---- connections

/// Whether the other end of our connection is a socket of this namespace: whoever we dialled, it was redirected.
bool ends_here(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return false;
    const auto local = Endpoint::from_sockaddr(storage);
    const auto all = read_proc_net({"tcp", "tcp6"});
    return local && std::any_of(all.begin(), all.end(), [&](const auto& socket) { return socket.remote == *local; });
}

Reach try_tcp_once(const Endpoint& to) {
    const UniqueFd fd(::socket(family_of(to), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!fd) return Reach::no_socket;
    sockaddr_storage storage{};
    const auto size = to.to_sockaddr(storage);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) {
        if (errno != EINPROGRESS) return failure(errno);
        pollfd ready{fd.get(), POLLOUT, 0};
        if (::poll(&ready, 1, kTcpWaitMs) != 1) return Reach::silence;
        int error = 0;
        socklen_t length = sizeof error;
        ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
        if (error == ECONNREFUSED) return Reach::refused;
        if (error != 0) return Reach::silence;  // said by a router outside
    }
    return ends_here(fd.get()) ? Reach::gateway : Reach::foreign;
}

// The gateway may have refused and closed before we looked for its end.
Reach try_tcp(const Endpoint& to) {
    auto reach = Reach::foreign;
    for (int attempt = 0; attempt < 3 && reach == Reach::foreign; ++attempt) reach = try_tcp_once(to);
    return reach;
}

// ---- datagrams

Reach send_to(int fd, const Endpoint& to, std::string_view bytes) {
    sockaddr_storage storage{};
    const auto size = to.to_sockaddr(storage);
    const auto sent = ::sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&storage), size);
    return sent >= 0 ? Reach::silence : failure(errno);
}

Reach try_datagram(const Endpoint& to, int type, int protocol, std::string_view bytes) {
    const UniqueFd fd(::socket(family_of(to), type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    return fd ? send_to(fd.get(), to, bytes) : Reach::no_socket;
}

/// A socket for ping(8) hears nothing from send(2) about a refusal by IPv6's rules (net/ipv6/ping.c), but the ICMP
/// error at once. With one hop to go a packet that has left is not refused by a router, but expires there.
Reach try_echo_socket(const Endpoint& to, int protocol, std::string_view request) {
    const UniqueFd fd(::socket(family_of(to), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!fd) return Reach::no_socket;
    const int one_hop = 1;
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_UNICAST_HOPS, &one_hop, sizeof one_hop);
    sockaddr_storage storage{};
    const auto size = to.to_sockaddr(storage);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) return failure(errno);
    const auto reach = send_to(fd.get(), to, request);
    pollfd refused{fd.get(), 0, 0};
    if (reach != Reach::silence || ::poll(&refused, 1, kIcmpWaitMs) != 1) return reach;
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    return error == EACCES ? Reach::refused : reach;
}

/// With a socket for ping(8) where one may be had, else with a raw one.
Reach try_echo(const Endpoint& to) {
    const int protocol = to.address.is_v4() ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
    const auto request = to.address.is_v4() ? "\x08\0\xf7\xff\0\0\0\0"sv : "\x80\0\0\0\0\0\0\0"sv;
    const auto reach = try_echo_socket(to, protocol, request);
    return reach == Reach::no_socket ? try_datagram(to, SOCK_RAW, protocol, request) : reach;
}

/// A UDP packet with a header of our own making; the kernel fills in source and checksum (raw(7)).
Reach try_raw() {
    constexpr auto kPacket = "\x45\0\0\x1c\0\0\0\0\x40\x11\0\0\0\0\0\0\xc0\0\x02\x01\0\x09\0\x09\0\x08\0\0"sv;
    return try_datagram(nobody4(0), SOCK_RAW, IPPROTO_RAW, kPacket);
}

/// An Ethernet frame of a type for experiments (IEEE 802: 0x88b5), to a locally administered address.
Reach try_frame(const std::vector<std::string>& uplinks) {
    const UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return Reach::no_socket;
    auto reach = Reach::no_route;
    for (const auto& name : uplinks) {
        std::array<std::uint8_t, ETH_ZLEN> frame{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = static_cast<int>(::if_nametoindex(name.c_str()));
        to.sll_halen = ETH_ALEN;
        std::memcpy(to.sll_addr, frame.data(), ETH_ALEN);
        if (::sendto(fd.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) >= 0)
            return Reach::silence;
        reach = Reach::refused;
    }
    return reach;
}

// ---- names

struct Question {
    std::string what;
    Endpoint server;
    UniqueFd socket;
    Reach reach = Reach::silence;
};

/// Whose name is 192.0.2.53? Nobody's. With an OPT record, so that the gateway adds its reason in words.
constexpr auto kQuery =
    "\x5a\x17\x01\0\0\x01\0\0\0\0\0\x01\x02"
    "53\x01"
    "2\x01"
    "0\x03"
    "192\x07"
    "in-addr\x04"
    "arpa\0\0\x0c\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0"sv;
constexpr auto kOurAnswer = "no name has the address 192.0.2.53"sv;  // gateway/dns/answer.cpp

void ask(Question& question) {
    question.socket = UniqueFd(::socket(family_of(question.server), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_storage storage{};
    const auto size = question.server.to_sockaddr(storage);
    if (!question.socket) question.reach = Reach::no_socket;
    else if (::connect(question.socket.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0 ||
             ::send(question.socket.get(), kQuery.data(), kQuery.size(), 0) < 0)
        question.reach = failure(errno);
    if (question.reach != Reach::silence) question.socket.reset();
}

void read_answer(Question& question) {
    std::array<char, 1500> buffer;
    const auto size = ::recv(question.socket.get(), buffer.data(), buffer.size(), 0);
    if (size < 0) question.reach = failure(errno);
    else
        question.reach =
            std::string_view(buffer.data(), static_cast<std::size_t>(size)).find(kOurAnswer) != std::string_view::npos
                ? Reach::gateway
                : Reach::foreign;
    question.socket.reset();
}

void await_answers(std::vector<Question>& questions) {
    const auto end = std::chrono::steady_clock::now() + kDnsWait;
    for (;;) {
        std::vector<pollfd> waiting;
        for (const auto& question : questions) waiting.push_back({question.socket.get(), POLLIN, 0});
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        const bool any = std::any_of(waiting.begin(), waiting.end(), [](const pollfd& fd) { return fd.fd >= 0; });
        if (!any || left.count() <= 0) return;
        ::poll(waiting.data(), waiting.size(), static_cast<int>(left.count()));
        for (std::size_t i = 0; i < waiting.size(); ++i)
            if (waiting[i].revents) read_answer(questions[i]);
    }
}

bool is_loopback(const IpAddress& address) {
    return address.in_network(IpAddress::v4({127, 0, 0, 0}), 8) || address == *IpAddress::parse("::1");
}

std::vector<Question> name_servers() {
    std::vector<Question> questions;
    const auto add = [&](const std::string& what, const Endpoint& server) { questions.push_back({what, server, {}}); };
    add("DNS to any server", {IpAddress::v4({192, 0, 2, 53}), 53});
    std::istringstream lines(container::read_file("/etc/resolv.conf").value_or(""));
    for (std::string line; std::getline(lines, line) && questions.size() <= kMostNameServers;) {
        std::istringstream words(line);
        std::string key, value;
        words >> key >> value;
        const auto address = IpAddress::parse(value);
        if (key == "nameserver" && address) add("DNS to " + value, {*address, 53});
    }
    const auto docker = *IpAddress::parse("127.0.0.11");  // behind it, on a port that changes: its real socket
    for (const auto& socket : read_proc_net({"udp"}))
        if (socket.local.address == docker) add("Docker's resolver itself", socket.local);
    return questions;
}

void try_names(std::vector<Attempt>& attempts) {
    auto questions = name_servers();
    for (auto& question : questions) ask(question);
    await_answers(questions);
    for (auto& question : questions)  // a server in this namespace whom nobody plays: nothing left
        if (question.reach == Reach::silence && is_loopback(question.server.address)) question.reach = Reach::refused;
    for (auto& question : questions) attempts.push_back({std::move(question.what), question.reach});
}

}  // namespace

std::vector<std::string> find_uplinks() {
    std::vector<std::string> names;
    const std::unique_ptr<struct if_nameindex, decltype(&if_freenameindex)> all(::if_nameindex(), &if_freenameindex);
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    for (const auto* one = all.get(); one && one->if_index != 0; ++one) {
        ifreq request{};
        std::strncpy(request.ifr_name, one->if_name, IFNAMSIZ - 1);
        const bool known = ::ioctl(fd.get(), SIOCGIFFLAGS, &request) == 0;
        if (known && (request.ifr_flags & IFF_LOOPBACK || !(request.ifr_flags & IFF_UP))) continue;
        names.emplace_back(one->if_name);
    }
    return names;
}

bool datagram_leaves() {
    return try_datagram(nobody4(kDiscard), SOCK_DGRAM, 0, "") == Reach::silence ||
           try_datagram(nobody6(), SOCK_DGRAM, 0, "") == Reach::silence;
}

std::vector<Attempt> try_egress(const std::vector<std::string>& uplinks) {
    std::vector<Attempt> attempts = {
        {"TCP", try_tcp(nobody4(kDiscard))},
        {"TCP over IPv6", try_tcp(nobody6())},
        {"UDP", try_datagram(nobody4(kDiscard), SOCK_DGRAM, 0, "")},
        {"UDP over IPv6", try_datagram(nobody6(), SOCK_DGRAM, 0, "")},
        {"UDP-Lite", try_datagram(nobody4(kDiscard), SOCK_DGRAM, IPPROTO_UDPLITE, "")},
        {"ping", try_echo(nobody4(0))},
        {"ping over IPv6", try_echo({nobody6().address, 0})},
        {"raw IP packets", try_raw()},
        {kFrames, try_frame(uplinks)},
        {"cloud metadata", try_tcp({IpAddress::v4({169, 254, 169, 254}), 80})},
    };
    try_names(attempts);
    return attempts;
}

}  // namespace sallyport::doctor
