// As somebody else: other users, namespaces of one's own.
#include <grp.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>

#include "tests/support/attack_tools.hpp"
#include "tests/support/outside_recorder.hpp"
#include "tests/support/packet_attacks.hpp"

namespace sallyport::test {
namespace {

/// root's system users, an ordinary one, nobody, and the last there is. The gateway's is not among them: whether the
/// sandbox may become that one is what the doctor says (shared_limits_test.cpp).
constexpr std::array<uid_t, 6> kUsers = {1, 33, 101, 1000, 65534, 4294967294};

bool in_child(const std::function<bool()>& attack) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(attack() ? 0 : 1);
    int status = -1;
    return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

bool send_both(std::uint8_t number) {
    const bool udp = send_udp(target4(number, 9), filled(number));
    return start_tcp(target4(number, 443)) || udp;
}

bool as_each_user(std::uint8_t number) {
    bool sent = false;
    for (const auto user : kUsers)
        sent = in_child([&] {
                   return ::setresgid(user, user, user) == 0 && ::setresuid(user, user, user) == 0 && send_both(number);
               }) ||
               sent;
    return sent;
}

/// The files' user only: what a socket made now belongs to.
bool as_owner_of_files(std::uint8_t number) {
    return in_child([&] {
        bool sent = false;
        for (const auto user : kUsers) {
            ::setfsuid(user);
            sent = send_both(number) || sent;
        }
        return sent;
    });
}

/// As root of a user namespace of its own, in the network namespace that it came from.
bool as_root_of_nothing(std::uint8_t number) {
    return in_child([&] {
        const auto uid = std::to_string(::geteuid());
        if (::unshare(CLONE_NEWUSER) != 0) return false;
        std::ofstream("/proc/self/uid_map") << "0 " + uid + " 1";
        const Prepare marked = with(SOL_SOCKET, SO_MARK, 0x6761u);
        send_from(SOCK_DGRAM, 0, target4(number, 9), filled(number), marked);
        send_from(SOCK_RAW, IPPROTO_RAW, target4(number, 0), ip_packet(number, IPPROTO_UDP, 0));
        return send_both(number);
    });
}

}  // namespace

std::vector<PacketAttack> identity_attacks() {
    return {
        {165, "as other users", true, [] { return as_each_user(165); }},
        {166, "with sockets of other users", true, [] { return as_owner_of_files(166); }},
        {167, "from a user namespace", false, [] { return as_root_of_nothing(167); }, Standing::where_there},
    };
}

}  // namespace sallyport::test
