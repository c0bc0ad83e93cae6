#include "tests/support/packet_attacks.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "tests/support/attack_tools.hpp"
#include "tests/support/outside_recorder.hpp"

namespace sallyport::test {

const std::vector<PacketAttack>& packet_attacks() {
    static const auto all = [] {
        std::vector<PacketAttack> attacks;
        for (const auto family : {ip_attacks, socket_attacks, link_attacks, ring_attacks, identity_attacks})
            for (auto& attack : family()) attacks.push_back(std::move(attack));
        return attacks;
    }();
    return all;
}

sockaddr_in target4(std::uint8_t number, std::uint16_t port) {
    auto to = address4("0.0.0.0", port);
    std::memcpy(&to.sin_addr, marker(number).data(), sizeof to.sin_addr);
    return to;
}

sockaddr_in6 target6(std::uint8_t number, std::uint16_t port) {
    auto to = address6("2001:db8:5a11::", port);
    std::memcpy(&to.sin6_addr.s6_addr[12], marker(number).data(), 4);
    return to;
}

bool send_udp(const sockaddr_in& to, const std::string& data) { return send_from(SOCK_DGRAM, 0, to, data); }

bool start_tcp(const sockaddr_in& to) { return connect_from(0, to); }

std::string dns_question(const std::string& name, std::uint16_t type, bool tcp) {
    std::string query("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
    for (std::size_t begin = 0; begin <= name.size();) {
        const auto end = std::min(name.find('.', begin), name.size());
        query += static_cast<char>(end - begin) + name.substr(begin, end - begin);
        begin = end + 1;
    }
    query +=
        std::string("\0", 1) + static_cast<char>(type >> 8) + static_cast<char>(type & 0xff) + std::string("\0\1", 2);
    if (!tcp) return query;
    return std::string{static_cast<char>(query.size() >> 8), static_cast<char>(query.size() & 0xff)} + query;
}

}  // namespace sallyport::test
