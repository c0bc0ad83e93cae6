#include "container/socket_handover.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

constexpr std::size_t kSocketCount = 9;

struct Header {
    std::array<char, 4> magic;
    std::uint16_t version;
    std::uint16_t present;  ///< bit i: the i-th socket of slots_of() is in the message
    auto operator<=>(const Header&) const = default;
};
constexpr Header kHeader{{'S', 'L', 'P', 'T'}, 2, 0};
constexpr std::uint16_t kWithIpv6 = 0b111111111;
constexpr std::uint16_t kIpv4Only = 0b111100001;

/// In the order of the message. `Sockets` is GatewaySockets or const GatewaySockets.
template <class Sockets>
auto slots_of(Sockets& sockets) {
    return std::array{&sockets.tcp4,     &sockets.tcp6,     &sockets.dns_udp6, &sockets.dns_tcp6,  &sockets.proxy6,
                      &sockets.dns_udp4, &sockets.dns_tcp4, &sockets.proxy4,   &sockets.packet_log};
}

struct Message {
    Header header = kHeader;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kSocketCount * sizeof(int))> control{};
    iovec part{&header, sizeof header};

    msghdr view() { return {nullptr, 0, &part, 1, control.data(), control.size(), 0}; }

    msghdr view_with(const std::vector<int>& descriptors) {
        const auto size = descriptors.size() * sizeof(int);
        auto with = view();
        with.msg_controllen = CMSG_SPACE(size);
        auto* rights = CMSG_FIRSTHDR(&with);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(size);
        std::memcpy(CMSG_DATA(rights), descriptors.data(), size);
        return with;
    }
};

void send_message(int unix_socket, Message& message, const std::vector<int>& descriptors) {
    const auto view = message.view_with(descriptors);
    ssize_t sent = 0;
    do sent = ::sendmsg(unix_socket, &view, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) throw system_error("cannot hand the sandbox's sockets to the gateway", errno);
    if (sent != sizeof(Header)) throw StartupError("cannot hand the sandbox's sockets to the gateway: cut short");
}

/// Takes ownership of every descriptor in the message, wanted or not.
std::vector<UniqueFd> take_descriptors(msghdr& message) {
    std::vector<UniqueFd> descriptors;
    for (auto* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t offset = CMSG_LEN(0); offset + sizeof(int) <= part->cmsg_len; offset += sizeof(int)) {
            int fd = -1;
            std::memcpy(&fd, reinterpret_cast<const char*>(part) + offset, sizeof fd);
            descriptors.emplace_back(fd);
        }
    }
    return descriptors;
}

}  // namespace

void send_sockets(int unix_socket, const GatewaySockets& sockets) {
    Message message;
    std::vector<int> descriptors;
    const auto slots = slots_of(sockets);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        if (!*slots[i]) continue;
        message.header.present = static_cast<std::uint16_t>(message.header.present | 1u << i);
        descriptors.push_back(slots[i]->get());
    }
    send_message(unix_socket, message, descriptors);
}

void send_fresh_socket(int unix_socket, int descriptor) {
    Message message;
    send_message(unix_socket, message, {descriptor});
}

UniqueFd receive_fresh_socket(int unix_socket) {
    Message message;
    auto view = message.view();
    const auto received = ::recvmsg(unix_socket, &view, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (received < 0) return {};
    auto descriptors = take_descriptors(view);
    const bool whole = received == sizeof(Header) && !(view.msg_flags & (MSG_CTRUNC | MSG_TRUNC));
    if (!whole || message.header != kHeader || descriptors.size() != 1) return {};
    return std::move(descriptors.front());
}

GatewaySockets receive_sockets(int unix_socket) {
    Message message;
    auto view = message.view();
    ssize_t received = 0;
    do received = ::recvmsg(unix_socket, &view, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    const int error = errno;
    if (received < 0 && (error == EAGAIN || error == EWOULDBLOCK))
        throw StartupError("the sandbox did not hand over its sockets in time");
    if (received < 0) throw system_error("cannot receive the sandbox's sockets", error);
    auto descriptors = take_descriptors(view);
    if (received == 0) throw StartupError("the sandbox ended before it handed over its sockets");

    const auto present = message.header.present;
    message.header.present = 0;
    const bool whole = received == sizeof(Header) && !(view.msg_flags & (MSG_CTRUNC | MSG_TRUNC));
    const std::size_t expected = present == kWithIpv6 ? kSocketCount : 5;
    if (!whole || message.header != kHeader || (present != kWithIpv6 && present != kIpv4Only) ||
        descriptors.size() != expected)
        throw StartupError("what came over the hand-over socket are not the sockets of a sealed sandbox");

    GatewaySockets sockets;
    const auto slots = slots_of(sockets);
    auto next = descriptors.begin();
    for (std::size_t i = 0; i < slots.size(); ++i)
        if (present >> i & 1) *slots[i] = std::move(*next++);
    return sockets;
}

}  // namespace sallyport::container
