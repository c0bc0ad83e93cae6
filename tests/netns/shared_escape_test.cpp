// The rules of the shared form, attacked by root with Docker's default capabilities. What counts is what a recorder at
// the far end saw, and each attack is first shown to work without the rules.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>

#include <cstdlib>
#include <iterator>
#include <string>
#include <utility>

#include "gateway/base/startup_error.hpp"
#include "tests/netns/seal_clients.hpp"
#include "tests/support/attack_judge.hpp"
#include "tests/support/packet_attacks.hpp"
#include "tests/support/shared_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

struct Attacker {
    ToldApartBy how;
    uid_t uid;
};
constexpr Attacker kAttackers[] = {
    {ToldApartBy::cgroup, 0}, {ToldApartBy::cgroup, SharedGround::kGatewayUser}, {ToldApartBy::user, 0}};
constexpr NetRaw kRaw[] = {NetRaw::dropped, NetRaw::kept};

/// Later packets; with `marked` only those that have a mark.
void receive_only_marked(const UniqueFd& fd, bool marked) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_MARK)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, static_cast<std::uint8_t>(marked ? 1 : 0), 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const sock_fprog filter{std::size(program), program};
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
        throw system_error("filter", errno);
}

/// The one thing that gets past the rules; where its port would be stands its number. Nothing where the kernel does not
/// offer it.
std::string what_xdp_sent(const std::string& output) {
    return numbers_sent(output).contains(150) ? "udp 198.51.100.150:25750" : "";
}

UniqueFd listen_at(const SharedGround& ground, Who who, const std::string& address, std::uint16_t port) {
    auto fd = ground.socket(who, family_of(address), SOCK_STREAM);
    const SocketAddress at(address, port);
    if (::bind(fd.get(), at.get(), at.size) != 0 || ::listen(fd.get(), 8) != 0) throw system_error("listen", errno);
    return fd;
}

UniqueFd udp_between(const SharedGround& ground, const std::string& from, std::uint16_t port, const std::string& to) {
    auto fd = ground.socket(Who::gateway, AF_INET, SOCK_DGRAM);
    const SocketAddress near(from, port), far(to, 53);
    if (::bind(fd.get(), near.get(), near.size) != 0 || ::connect(fd.get(), far.get(), far.size) != 0)
        throw system_error("udp", errno);
    return fd;
}

}  // namespace

TEST_CASE(
    "shared escape: packets of every kind leave without the rules, and with them only what NET_RAW sends by AF_XDP") {
    for (const auto& attacker : kAttackers) {
        const auto uid = attacker.uid;
        const auto ground = SharedGround::create(attacker.how);
        if (!ground) continue;
        CAPTURE(uid);
        check_control(*ground->outside, ground->attack("packets", NetRaw::kept)->finish(), true);
        for (const auto raw : kRaw) {
            REQUIRE(ground->guard({3000}) == "");
            ground->outside->recorded();
            const auto attacked = ground->attack("packets", raw, uid)->finish();
            INFO(attacked);
            CHECK(numbers_sent(attacked).contains(1));  // it ran: a connection is redirected, so the kernel takes it
            CHECK(ground->left_by_now() == (raw == NetRaw::kept && uid == 0 ? what_xdp_sent(attacked) : std::string()));
        }
    }
}

TEST_CASE("shared escape: what is particular to a shared namespace leaves without the rules, and not with them") {
    for (const auto& attacker : kAttackers) {
        const auto uid = attacker.uid;
        const auto ground = SharedGround::create(attacker.how);
        if (!ground) continue;
        CAPTURE(uid);
        const auto published4 = listen_at(*ground, Who::sandbox, "203.0.113.1", 3000);
        const auto published6 = listen_at(*ground, Who::sandbox, "2001:db8::1", 3000);
        const auto all = [&](NetRaw raw, uid_t as) {
            std::string said;
            for (const auto* attack : {"forged clients", "bound to the uplink", "frames"})
                said += ground->attack(attack, raw, as)->finish();
            return said;
        };
        const auto said = all(NetRaw::kept, 0);
        INFO(said);
        CHECK(missing(*ground->outside, {70, 71, 72, 73, 74, 75, 76, 77, 78, 79}) == std::set<int>());
        for (const auto raw : kRaw) {
            REQUIRE(ground->guard({3000}) == "");
            ground->outside->recorded();
            const auto attacked = all(raw, uid);
            INFO(attacked);
            CHECK(ground->left_by_now() == "");
        }
    }
}

TEST_CASE("shared escape: no forged answer reaches the gateway over `lo`") {
    for (const auto how : {ToldApartBy::cgroup, ToldApartBy::user}) {
        const auto ground = SharedGround::create(how);
        if (!ground) continue;
        const auto from_name_server = udp_between(*ground, "203.0.113.1", 5053, "203.0.113.53");
        const auto from_resolver = udp_between(*ground, "127.0.0.1", 5054, "127.0.0.11");
        ground->attack("answers", NetRaw::kept)->finish();
        CHECK(readable(from_name_server.get()));
        CHECK(readable(from_resolver.get()));
        char waste[64];
        for (const auto* fd : {&from_name_server, &from_resolver})
            while (::recv(fd->get(), waste, sizeof waste, MSG_DONTWAIT) >= 0) continue;
        REQUIRE(ground->guard() == "");
        const auto said = ground->attack("answers", NetRaw::kept)->finish();
        INFO(said);
        CHECK_FALSE(readable(from_name_server.get(), 0));
        CHECK_FALSE(readable(from_resolver.get(), 0));
    }
}

// A mark that is known lets a packet socket's frames out, and a filter sees the mark of whatever its socket receives.
TEST_CASE("shared escape: nobody sees the mark of the gateway's packets, on `lo` or on the uplink") {
    const auto ground = SharedGround::create(ToldApartBy::user);
    if (!ground) return;
    REQUIRE(ground->guard() == "");
    const auto tap = ground->outside->open([] { return UniqueFd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); });
    const auto local = ground->socket(Who::sandbox, AF_INET, SOCK_DGRAM);
    const SocketAddress here("127.0.0.1", 4000), far("203.0.113.53", 9999);
    REQUIRE(::bind(local.get(), here.get(), here.size) == 0);
    const auto gateway = ground->socket(Who::gateway, AF_INET, SOCK_DGRAM);
    const auto send_both = [&] {
        CHECK(::sendto(gateway.get(), "x", 1, 0, here.get(), here.size) == 1);
        CHECK(::sendto(gateway.get(), "x", 1, 0, far.get(), far.size) == 1);
    };
    for (const auto* fd : {&local, &tap}) receive_only_marked(*fd, false);
    sockaddr_ll everything{};
    everything.sll_family = AF_PACKET;
    everything.sll_protocol = htons(ETH_P_ALL);
    REQUIRE(::bind(tap.get(), reinterpret_cast<const sockaddr*>(&everything), sizeof everything) == 0);
    send_both();
    for (const auto* fd : {&local, &tap}) {
        CHECK(readable(fd->get()));
        receive_only_marked(*fd, true);
        char waste[256];
        while (::recv(fd->get(), waste, sizeof waste, MSG_DONTWAIT) >= 0) continue;
    }
    send_both();
    CHECK_FALSE(readable(local.get(), 0));
    CHECK_FALSE(readable(tap.get(), 0));
}

TEST_CASE("shared escape: an interface that shows up later lets no packet of IP out") {
    const auto ground = SharedGround::create(ToldApartBy::user);
    if (!ground) return;
    const auto tap_on_new_interface = [&] {
        ground->inside([] {
            if (::system("ip link add late0 type veth peer late1 && ip addr add 192.0.2.33/24 dev late0 &&"
                         " ip link set late1 up && ip link set late0 arp off up &&"
                         " ip route add default dev late0 metric 5") != 0)
                throw StartupError("no interface");
        });
        return ground->outside->open([] {
            UniqueFd tap(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            sockaddr_ll on{};
            on.sll_family = AF_PACKET;
            on.sll_protocol = htons(ETH_P_IP);
            on.sll_ifindex = static_cast<int>(::if_nametoindex("late1"));
            if (::bind(tap.get(), reinterpret_cast<const sockaddr*>(&on), sizeof on) != 0)
                throw system_error("tap", errno);
            return tap;
        });
    };
    const auto escapes = [&](const UniqueFd& tap) {
        for (const auto* address : {"127.0.0.1", "198.51.100.90"}) {
            const auto fd = ground->socket(Who::sandbox, AF_INET, SOCK_DGRAM);
            const SocketAddress to(address, 9);
            ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "late0", 6);
            ::sendto(fd.get(), "escape", 6, 0, to.get(), to.size);
        }
        return readable(tap.get(), 0);
    };
    CHECK(escapes(tap_on_new_interface()));
    ground->inside([] { CHECK(::system("ip link del late0") == 0); });
    REQUIRE(ground->guard() == "");
    CHECK_FALSE(escapes(tap_on_new_interface()));
}

TEST_CASE("shared escape: rules that are replaced again and again leave no gap") {
    const auto ground = SharedGround::create(ToldApartBy::cgroup);
    if (!ground) return;
    REQUIRE(ground->guard({3000}) == "");
    ground->outside->recorded();
    auto flood = ground->attack("flood", NetRaw::dropped);
    for (int i = 0; i < 50; ++i) {
        CHECK(ground->guard({3000}) == "");
        while (flood->read_line() != "round") continue;
    }
    flood.reset();
    CHECK(ground->left_by_now() == "");
}
