#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <vector>

#include "container/socket_handover.hpp"
#include "gateway/base/startup_error.hpp"

using namespace sallyport;
using namespace sallyport::container;

namespace {

struct Pair {
    UniqueFd here, there;
};

Pair make_pair(int type = SOCK_STREAM) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

UniqueFd any_socket() { return UniqueFd(::socket(AF_UNIX, SOCK_DGRAM, 0)); }

GatewaySockets some_sockets(bool ipv6) {
    GatewaySockets sockets;
    for (auto* fd : {&sockets.tcp4, &sockets.dns_udp4, &sockets.dns_tcp4, &sockets.proxy4, &sockets.packet_log})
        *fd = any_socket();
    if (ipv6)
        for (auto* fd : {&sockets.tcp6, &sockets.dns_udp6, &sockets.dns_tcp6, &sockets.proxy6}) *fd = any_socket();
    return sockets;
}

ino_t inode(const UniqueFd& fd) {
    struct stat status {};
    REQUIRE(::fstat(fd.get(), &status) == 0);
    return status.st_ino;
}

std::vector<ino_t> inodes_of(const GatewaySockets& s) {
    std::vector<ino_t> out;
    for (const auto* fd :
         {&s.tcp4, &s.tcp6, &s.dns_udp4, &s.dns_udp6, &s.dns_tcp4, &s.dns_tcp6, &s.proxy4, &s.proxy6, &s.packet_log})
        out.push_back(inode(*fd));
    return out;
}

int lowest_free_descriptor() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)).get(); }

}  // namespace

TEST_CASE("hand-over: every socket arrives in its place, close-on-exec") {
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        const auto pair = make_pair(type);
        auto sent = some_sockets(true);
        const auto inodes = inodes_of(sent);
        send_sockets(pair.there.get(), std::move(sent));
        const auto got = receive_sockets(pair.here.get());
        CHECK(inodes_of(got) == inodes);
        CHECK((::fcntl(got.tcp6.get(), F_GETFD) & FD_CLOEXEC) != 0);
    }
}

TEST_CASE("hand-over: without IPv6 those sockets stay empty") {
    const auto pair = make_pair();
    send_sockets(pair.there.get(), some_sockets(false));
    const auto got = receive_sockets(pair.here.get());
    CHECK(got.tcp4);
    CHECK(got.packet_log);
    CHECK_FALSE(got.tcp6);
    CHECK_FALSE(got.dns_udp6);
    CHECK_FALSE(got.dns_tcp6);
    CHECK_FALSE(got.proxy6);
}

TEST_CASE("hand-over: the other end is gone") {
    auto pair = make_pair();
    pair.there.reset();
    CHECK_THROWS_WITH_AS(receive_sockets(pair.here.get()), doctest::Contains("ended before"), StartupError);
    CHECK_THROWS_AS(send_sockets(pair.here.get(), some_sockets(true)), StartupError);
}

TEST_CASE("hand-over: nothing comes in time") {
    const auto pair = make_pair();
    const timeval patience{0, 1000};
    REQUIRE(::setsockopt(pair.here.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    CHECK_THROWS_WITH_AS(receive_sockets(pair.here.get()), doctest::Contains("in time"), StartupError);
}

TEST_CASE("hand-over: a message that is not ours is refused, and leaks no descriptor") {
    const auto pair = make_pair();
    SUBCASE("bytes only") { REQUIRE(::send(pair.there.get(), "SLPT\1\177", 6, 0) == 6); }
    SUBCASE("too short") { REQUIRE(::send(pair.there.get(), "SL", 2, 0) == 2); }
    SUBCASE("a socket is missing") {
        auto sockets = some_sockets(true);
        sockets.dns_tcp6.reset();
        send_sockets(pair.there.get(), std::move(sockets));
    }
    const int before = lowest_free_descriptor();
    CHECK_THROWS_WITH_AS(receive_sockets(pair.here.get()), doctest::Contains("not the sockets"), StartupError);
    CHECK(lowest_free_descriptor() == before);
}
