// Where the shared form ends: each thing that `sallyport doctor` says undoes it does so, and without it nothing leaves.
// Beside this: AF_XDP in shared_escape_test.cpp, what the doctor says of users in doctor_test.cpp.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "container/shared.hpp"
#include "gateway/base/startup_error.hpp"
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

constexpr const char* kLastWords = "what the gateway sends";

bool says(const std::string& output, const std::string& text) { return output.find(text) != output.npos; }

/// The doctor's last line but one, in a guarded namespace where something takes connections.
std::string verdict(const SharedGround& ground, NetRaw net_raw, uid_t uid = 0) {
    const auto gateway = ground.socket(Who::gateway, AF_INET, SOCK_STREAM);
    const SocketAddress at("127.0.0.1", container::kInterceptPort);
    REQUIRE(::bind(gateway.get(), at.get(), at.size) == 0);
    REQUIRE(::listen(gateway.get(), 8) == 0);
    ground.inside([] { ::mount("none", "/run", "tmpfs", 0, nullptr); });  // this machine's own container engine
    const auto output = ground.attack("doctor", net_raw, uid)->finish();
    const auto at_end = output.rfind("\nstatus ");
    const auto begin = output.rfind('\n', at_end - 1) + 1;
    return output.substr(begin, at_end - begin);
}

std::unique_ptr<SharedGround> guarded(ToldApartBy how) {
    auto ground = SharedGround::create(how);
    if (ground) REQUIRE(ground->guard() == "");
    if (ground) ground->outside->recorded();
    return ground;
}

bool enter_cgroups_of_tests() {
    bool moved = false;
    std::error_code none;
    for (const auto* top : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"})
        for (const auto& entry : std::filesystem::directory_iterator(top, none)) {
            const auto name = entry.path().filename().string();
            if (!name.starts_with("sallyport-test-") || !name.ends_with("-gateway")) continue;
            const UniqueFd members(::open((entry.path() / "cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
            moved = (members && ::write(members.get(), "0", 1) == 1) || moved;
        }
    return moved;
}

/// What only root of the machine may know.
std::uint32_t secret_mark(const SharedGround& ground) {
    const auto file = ground.outside->open([] {
        UniqueFd text(::memfd_create("rules", MFD_CLOEXEC));
        const auto command = "nft list table netdev sallyport >/proc/self/fd/" + std::to_string(text.get());
        ::fcntl(text.get(), F_SETFD, 0);
        if (::system(command.c_str()) != 0) throw StartupError("nft");
        return text;
    });
    std::array<char, 4096> text{};
    (void)!::pread(file.get(), text.data(), text.size() - 1, 0);
    const std::string rules = text.data(), before = "meta mark 0x";
    const auto at = rules.find(before);
    REQUIRE(at != rules.npos);
    return static_cast<std::uint32_t>(std::stoul(rules.substr(at + before.size(), 8), nullptr, 16));
}

UniqueFd marked_packet_socket(const SharedGround& ground, std::uint32_t mark) {
    return ground.outside->open([&] {
        UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
        const auto to = station_on("up0", ETHERTYPE_IP);
        if (!set(fd.get(), SOL_SOCKET, SO_MARK, mark) ||
            ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
            throw system_error("packet socket", errno);
        return fd;
    });
}

}  // namespace

TEST_CASE("attack: cgroup" * doctest::skip()) {
    if (enter_cgroups_of_tests()) std::printf("moved\n");
    if (::unshare(CLONE_NEWNS) == 0 || ::mount("none", "/mnt", "cgroup2", 0, nullptr) == 0) std::printf("mounted\n");
    send_udp(target4(180, 9), filled(180));
}

TEST_CASE("attack: tap" * doctest::skip()) {
    const UniqueFd tap(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
    std::printf(tap ? "listening\n" : "no tap\n");
    std::fflush(nullptr);
    std::array<char, 2048> frame{};
    while (tap && readable(tap.get())) {
        const auto size = ::recv(tap.get(), frame.data(), frame.size(), 0);
        if (size > 0 && says({frame.data(), static_cast<std::size_t>(size)}, kLastWords)) {
            std::printf("read\n");
            return;
        }
    }
}

TEST_CASE("shared limits: an app that can move into the gateway's cgroup gets out, as the doctor says, and no other") {
    const auto ground = guarded(ToldApartBy::cgroup);
    if (!ground) return;
    CHECK(ground->attack("cgroup", NetRaw::dropped)->finish() == "");
    CHECK_FALSE(ground->outside->recorded().saw(180));
    CHECK(verdict(*ground, NetRaw::dropped) == "contained");

    ground->make_cgroups(Cgroups::writable);
    CHECK(ground->attack("cgroup", NetRaw::dropped)->finish() == "moved\n");
    CHECK(missing(*ground->outside, {180}) == std::set<int>());
    CHECK(verdict(*ground, NetRaw::dropped) == "contained except: cgroups");
}

TEST_CASE("shared limits: with NET_RAW an app reads what the gateway sends, as the doctor says, without it nothing") {
    const auto ground = guarded(ToldApartBy::cgroup);
    if (!ground) return;
    const auto gateway = ground->socket(Who::gateway, AF_INET, SOCK_DGRAM);
    const SocketAddress to("203.0.113.53", 9999);
    const auto tapped = [&](NetRaw raw) {
        const auto tap = ground->attack("tap", raw);
        const auto said = tap->read_line();
        CHECK(::sendto(gateway.get(), kLastWords, std::strlen(kLastWords), 0, to.get(), to.size) > 0);
        return said + " " + tap->finish();
    };
    CHECK(tapped(NetRaw::kept) == "listening read\n");
    CHECK(tapped(NetRaw::dropped) == "no tap ");
    const auto said = verdict(*ground, NetRaw::kept);
    CHECK_MESSAGE(says(said, "contained except: packet sockets"), said);
    CHECK_MESSAGE(says(said, "SO_MARK"), said);
}

TEST_CASE(
    "shared limits: what keeps a packet socket's frames in is the mark alone, which is new with every load of the "
    "rules") {
    const auto ground = guarded(ToldApartBy::cgroup);
    if (!ground) return;
    const auto mark = secret_mark(*ground);
    const auto frame = frame_on("up0", ETHERTYPE_IP, ip_packet(181, IPPROTO_UDP, 0));
    const auto send = [&](const UniqueFd& fd) { (void)!::send(fd.get(), frame.data(), frame.size(), 0); };
    send(marked_packet_socket(*ground, mark ^ 1));
    CHECK_FALSE(ground->outside->recorded().saw(181));
    const auto fd = marked_packet_socket(*ground, mark);
    send(fd);
    CHECK(missing(*ground->outside, {181}) == std::set<int>());

    REQUIRE(ground->guard() == "");
    CHECK(secret_mark(*ground) != mark);
    send(fd);
    CHECK_FALSE(ground->outside->recorded().saw(181));
}

TEST_CASE("shared escape: rules, links, namespaces and the gateway's ports cannot be taken over") {
    if (::geteuid() != 0) return skip("a gateway of another user takes root");
    const DoorwayGround ground;
    if (!ground.outside) return;
    const auto gateway = ground.start({"gateway", "--policy", "policy.toml", "--state", "state", "--guard", "--exempt",
                                       "user", "--user", "65532", "--audit", "log", "--admin", "admin/socket"});
    REQUIRE(line_with(*gateway, "serving") != "");
    const auto ask = [&] {
        WirePeer client(ground.connect_outside("198.51.100.80", 80));
        client.send("GET / HTTP/1.1\r\nHost: denied.example\r\n\r\n");
        return client.read_message().substr(0, 12);
    };
    CHECK(ask() == "HTTP/1.1 403");
    for (const auto raw : {NetRaw::dropped, NetRaw::kept}) {
        const auto output = ground.attack(-1, "seal", raw)->finish();
        CHECK_FALSE_MESSAGE(says(output, "BAD"), output);
        CHECK_FALSE_MESSAGE(says(output, "listeners 0"), output);
        CHECK(ask() == "HTTP/1.1 403");
    }
    CHECK(ground.outside->recorded().destinations() == std::vector<std::string>());
}
