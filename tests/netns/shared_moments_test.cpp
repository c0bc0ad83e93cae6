// The shared form at the moments when the rules come or are replaced, and when the gateway was killed. The storm is
// every packet attack, again and again.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "gateway/base/startup_error.hpp"
#include "netfilter/apply.hpp"
#include "tests/netns/seal_clients.hpp"
#include "tests/support/attack_judge.hpp"
#include "tests/support/attack_tools.hpp"
#include "tests/support/doorway_ground.hpp"
#include "tests/support/netns_fixture.hpp"
#include "tests/support/packet_attacks.hpp"
#include "tests/support/shared_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

using Strings = std::vector<std::string>;
constexpr const char* kListening = "203.0.113.53";
constexpr std::uint16_t kPort = 4172;

template <class Address>
UniqueFd connected(int type, const Address& to, int protocol = 0) {
    const auto* plain = reinterpret_cast<const sockaddr*>(&to);
    UniqueFd fd(::socket(plain->sa_family, type | SOCK_CLOEXEC, protocol));
    if (!fd || ::connect(fd.get(), plain, sizeof to) != 0) throw system_error("connect", errno);
    ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    return fd;
}

UniqueFd packet_socket() {
    UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    const auto to = station_on("up0", 0x0800);
    ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
    return fd;
}

void send_held(const UniqueFd& fd, const std::string& data) {
    (void)!::send(fd.get(), data.data(), data.size(), MSG_NOSIGNAL);
}

/// Docker's own rules make the kernel follow connections from long before ours.
void follow_connections(const SharedGround& ground) {
    using namespace netfilter;
    ground.inside([] {
        const Base output{ChainType::filter, Hook::output, -10, Policy::accept};
        apply({{Family::inet, "others", {{"out", output, {{Is::established, Verdict::accept}}}}}});
    });
}

}  // namespace

TEST_CASE("attack: held" * doctest::skip()) {
    const auto udp = connected(SOCK_DGRAM, target4(170, 9)), udp6 = connected(SOCK_DGRAM, target6(171, 9)),
               tcp = connected(SOCK_STREAM, address4(kListening, kPort)),
               raw = connected(SOCK_RAW, target4(173, 0), 253), frames = packet_socket();
    while (true) {
        send_held(udp, filled(170));
        send_held(udp6, filled(171));
        send_held(tcp, filled(172));
        send_held(raw, filled(173));
        send_held(frames, frame_on("up0", 0x0800, ip_packet(174, IPPROTO_UDP, 0)));
        ::poll(nullptr, 0, 1);  // the recorder must keep up
        std::printf("round\n");
        std::fflush(nullptr);
    }
}

TEST_CASE("shared escape: nothing leaves as rules and gateway are loaded again, reloaded, and killed") {
    if (::geteuid() != 0) return skip("a gateway of another user takes root");
    const DoorwayGround ground;
    if (!ground.outside) return;
    const Strings guard{"guard", "--user", "65532", "--policy", "policy.toml"};
    const Strings gateway{"gateway", "--policy", "policy.toml", "--state", "state", "--guard", "--exempt",
                          "user",    "--user",   "65532",       "--audit", "log",   "--admin", "admin/socket"};
    CHECK(ground.start(guard)->finish() == "");
    const auto storm = ground.attack(-1, "storm", NetRaw::dropped);
    await_rounds(*storm);
    for (const int how : {SIGKILL, SIGTERM, SIGKILL}) {
        const auto running = ground.start(gateway);
        REQUIRE(line_with(*running, "serving") != "");
        await_rounds(*storm);
        std::ofstream(ground.directory() / "policy.toml") << "[[allow]]\nhost = \"other.example\"\n";
        ::kill(running->pid(), SIGHUP);
        CHECK(ground.start(guard)->finish() == "");
        await_rounds(*storm);
        ::kill(running->pid(), how);
        running->read_all();
        await_rounds(*storm);
    }
    CHECK(ground.outside->recorded().destinations() == Strings());
}

TEST_CASE("shared escape: sockets from before the rules, connected or not, send nothing more") {
    for (const bool followed : {false, true}) {
        CAPTURE(followed);
        const auto ground = SharedGround::create(ToldApartBy::cgroup);
        if (!ground) return;
        if (followed) follow_connections(*ground);
        const auto listener = ground->socket(Who::far_end, AF_INET, SOCK_STREAM);
        const SocketAddress at(kListening, kPort);
        REQUIRE(::bind(listener.get(), at.get(), at.size) == 0);
        REQUIRE(::listen(listener.get(), 1) == 0);

        const auto held = ground->attack("held", NetRaw::kept);
        CHECK(missing(*ground->outside, {170, 171, 172, 173, 174}) == std::set<int>());
        REQUIRE(ground->guard() == "");
        await_rounds(*held);
        ground->left_by_now();
        await_rounds(*held, 20);
        CHECK(ground->left_by_now() == "");
    }
}
