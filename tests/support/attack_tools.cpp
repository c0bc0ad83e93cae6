#include "tests/support/attack_tools.hpp"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include "tests/support/outside_recorder.hpp"
#include "tests/support/packet_attacks.hpp"

namespace sallyport::test {
namespace {

std::vector<std::string> interfaces() {
    const std::unique_ptr<struct if_nameindex, decltype(&if_freenameindex)> list(::if_nameindex(), if_freenameindex);
    std::vector<std::string> names;
    for (auto* entry = list.get(); entry && entry->if_index; ++entry) names.emplace_back(entry->if_name);
    return names;
}

}  // namespace

Prepare bound_to(const std::string& interface) {
    return [=](int fd) {
        return ::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.data(),
                            static_cast<socklen_t>(interface.size())) == 0;
    };
}

bool on_each_interface(const std::function<bool(const std::string&)>& attack) {
    bool sent = false;
    for (const auto& name : interfaces()) sent = attack(name) || sent;
    return sent;
}

sockaddr_in address4(const char* text, std::uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    ::inet_pton(AF_INET, text, &to.sin_addr);
    return to;
}

sockaddr_in6 address6(const char* text, std::uint16_t port, const std::string& interface) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    to.sin6_scope_id = interface.empty() ? 0 : ::if_nametoindex(interface.c_str());
    ::inet_pton(AF_INET6, text, &to.sin6_addr);
    return to;
}

std::string filled(std::uint8_t number, std::size_t size) {
    std::string data = marker(number);
    data.resize(size, 'x');
    return data;
}

std::string ip_packet(std::uint8_t number, std::uint8_t protocol, std::uint16_t fragment, const char* source) {
    const auto to = target4(number, 0);
    const auto from = address4(source, 0);
    ip header{};
    header.ip_v = 4;
    header.ip_hl = 5;
    header.ip_len = htons(20 + 64);
    header.ip_id = htons(number);
    header.ip_off = htons(fragment);
    header.ip_ttl = 64;
    header.ip_p = protocol;
    header.ip_src = from.sin_addr;
    header.ip_dst = to.sin_addr;
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < sizeof header; i += 2) {
        std::uint16_t word = 0;
        std::memcpy(&word, reinterpret_cast<const char*>(&header) + i, sizeof word);
        sum += word;
    }
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    header.ip_sum = static_cast<std::uint16_t>(~sum);
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) + filled(number);
}

std::string ip6_packet(std::uint8_t number) {
    ip6_hdr header{};
    header.ip6_flow = htonl(6u << 28);
    header.ip6_plen = htons(64);
    header.ip6_nxt = IPPROTO_UDP;
    header.ip6_hops = 64;
    header.ip6_src = address6("2001:db8:5a12::9", 0).sin6_addr;
    header.ip6_dst = target6(number, 0).sin6_addr;
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) + filled(number);
}

std::string frame_on(const std::string& interface, std::uint16_t ethertype, const std::string& payload) {
    // To lo a broadcast is nobody's packet; this is its own address.
    return std::string(6, interface == "lo" ? '\0' : '\xff') + std::string("\x02\x5a\x11\x70\x00\x01", 6) +
           static_cast<char>(ethertype >> 8) + static_cast<char>(ethertype & 0xff) + payload;
}

sockaddr_ll station_on(const std::string& interface, std::uint16_t ethertype) {
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(ethertype);
    to.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    to.sll_halen = 6;
    if (interface != "lo") std::memset(to.sll_addr, 0xff, 6);
    return to;
}

void report_success(const std::string& what, bool success) {
    if (success) std::printf("BAD: %s\n", what.c_str());
}

/// In a child, as root of a user namespace of its own.
void from_nested_namespace(const std::function<void()>& body) {
    const auto uid = std::to_string(::geteuid());
    const pid_t child = ::fork();
    if (child == 0) {
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ::_exit(0);
        std::ofstream("/proc/self/uid_map") << "0 " + uid + " 1";
        std::printf("nested\n");
        body();
        std::fflush(nullptr);
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
}

}  // namespace sallyport::test
