// What would take the guard away instead of getting past it. Run in each form; who judges is outside.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "gateway/base/endpoint.hpp"
#include "gateway/base/unique_fd.hpp"
#include "netfilter/apply.hpp"
#include "netfilter/ruleset.hpp"
#include "tests/support/attack_tools.hpp"
#include "tests/support/outside_recorder.hpp"
#include "tests/support/packet_attacks.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

/// Ports of this namespace's sockets with the given state, as /proc/net/{tcp,udp} writes it.
std::set<std::uint16_t> local_ports(const char* file, const std::string& state) {
    std::set<std::uint16_t> ports;
    std::ifstream in(file);
    std::string line, index, local, remote, status;
    std::getline(in, line);
    while (std::getline(in, line)) {
        std::istringstream(line) >> index >> local >> remote >> status;
        if (status == state)
            ports.insert(static_cast<std::uint16_t>(std::stoul(local.substr(local.find(':') + 1), nullptr, 16)));
    }
    return ports;
}

/// As every program may that wants a port together with others.
bool squat(int type, std::uint16_t port, const char* address) {
    const auto at = IpAddress::parse(address).value();
    const UniqueFd fd(::socket(at.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    sockaddr_storage storage{};
    const auto size = Endpoint{at, port}.to_sockaddr(storage);
    return ::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0 &&
           (type == SOCK_DGRAM || ::listen(fd.get(), 1) == 0);
}

bool empty_the_rules() {
    try {
        netfilter::apply({{netfilter::Family::inet, "sallyport", {}}});
        return true;
    } catch (const std::exception&) {
        return false;
    }
}

bool change_loopback() {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq change{};
    std::strcpy(change.ifr_name, "lo");
    return ::ioctl(fd.get(), SIOCSIFFLAGS, &change) == 0;
}

/// What would make another way out: an interface, from nothing, from a device or from a namespace of one's own.
bool make_link() {
    const UniqueFd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    ifreq request{};
    std::strcpy(request.ifr_name, "escape0");
    request.ifr_flags = IFF_TUN;
    if (tun && ::ioctl(tun.get(), TUNSETIFF, &request) == 0) return true;
    const pid_t child = ::fork();
    if (child == 0) {
        const auto uid = std::to_string(::geteuid());
        const auto parent = std::to_string(::getppid());
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) std::ofstream("/proc/self/uid_map") << "0 " + uid + " 1";
        const auto command = "ip link add escape1 type veth peer escape2 netns " + parent + " 2>/dev/null";
        ::_exit(::system(command.c_str()) == 0 ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    const bool add = ::system(
                         "ip link add escape3 type dummy 2>/dev/null || ip route add 192.0.2.7 dev lo 2>/dev/null ||"
                         " ip address add 192.0.2.7 dev lo 2>/dev/null") == 0;
    return status == 0 || add;
}

/// Everything that would open the seal, with the power that the caller has.
void open_the_seal(const std::string& who) {
    report_success(who + " emptied the rules", empty_the_rules());
    report_success(who + " changed lo", change_loopback());
    report_success(who + " made an interface, a route or an address", make_link());
    for (const auto& process : std::filesystem::directory_iterator("/proc")) {
        const UniqueFd space(::open((process.path() / "ns/net").c_str(), O_RDONLY | O_CLOEXEC));
        if (space) report_success(who + " entered a network namespace", ::setns(space.get(), CLONE_NEWNET) == 0);
    }
    send_udp(target4(51, 9), marker(51));
}

}  // namespace

TEST_CASE("attack: seal" * doctest::skip()) {
    open_the_seal("the command");
    std::fflush(nullptr);
    from_nested_namespace([] { open_the_seal("a nested namespace"); });
    for (const auto port : local_ports("/proc/net/tcp", "0A"))
        for (const auto* address : {"127.0.0.1", "0.0.0.0"})
            report_success("took a listener's port", squat(SOCK_STREAM, port, address));
    for (const auto port : local_ports("/proc/net/tcp6", "0A"))
        for (const auto* address : {"::1", "::"})
            report_success("took a listener's port of IPv6", squat(SOCK_STREAM, port, address));
    for (const auto port : local_ports("/proc/net/udp", "07"))
        for (const auto* address : {"127.0.0.1", "0.0.0.0"})
            report_success("took the name server's port", squat(SOCK_DGRAM, port, address));
    for (const auto port : local_ports("/proc/net/udp6", "07"))
        for (const auto* address : {"::1", "::"})
            report_success("took the name server's port of IPv6", squat(SOCK_DGRAM, port, address));
    std::printf("listeners %zu\n", local_ports("/proc/net/tcp", "0A").size());
}
