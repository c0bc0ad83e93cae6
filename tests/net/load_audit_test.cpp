// A disk that is full under the audit log: what is not in the log does not happen.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>

#include "tests/support/proxy_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr std::size_t kDisk = 128 * 1024;

/// A tmpfs of kDisk in a mount namespace of its own, which a child holds.
class SmallDisk {
public:
    SmallDisk() {
        int ready[2];
        REQUIRE(::pipe(ready) == 0);
        const UniqueFd from(ready[0]);
        child_ = ::fork();
        if (child_ == 0) {
            const auto options = fmt::format("size={},mode=0700", kDisk);
            // root needs no user namespace, which may not be allowed
            const bool alone = ::unshare(CLONE_NEWNS) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
            const bool there = alone && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                               ::mount("tmpfs", "/tmp", "tmpfs", 0, options.c_str()) == 0;
            if (!there || ::write(ready[1], "+", 1) != 1) ::_exit(1);
            for (;;) ::pause();
        }
        ::close(ready[1]);
        char byte = 0;
        mounted_ = ::read(from.get(), &byte, 1) == 1;
    }
    ~SmallDisk() {
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    bool mounted() const { return mounted_; }
    std::string file(const std::string& name) const { return fmt::format("/proc/{}/root/tmp/{}", child_, name); }

private:
    pid_t child_ = -1;
    bool mounted_ = false;
};

std::string get(std::uint16_t port) {
    return fmt::format("GET / HTTP/1.1\r\nHost: api.test:{}\r\nX-Fill: yes\r\n\r\n", port);
}

}  // namespace

TEST_CASE(
    "audit: with a full disk nothing is served and everybody is told; with room again it is, and no line is missing") {
    const SmallDisk disk;
    if (!disk.mounted()) {
        MESSAGE("skipped: no mount namespace can be had here");
        CHECK(std::getenv("CI") == nullptr);
        return;
    }
    std::atomic<int> asked = 0;
    WireOrigin there(
        [&](WirePeer& peer) {
            while (!peer.read_message().empty()) {
                ++asked;
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
            }
        },
        testing::make_server(ProxyGround::origin_ca().good("api.test")), WireOrigin::Serving::side_by_side);
    const auto filler = disk.file("filler");
    std::ofstream(filler) << std::string(kDisk - 32 * 1024, 'x') << std::flush;
    ProxyGround ground(fmt::format("[[allow]]\nhost = \"api.test\"\nport = {}\nprivate = true\n", there.port()),
                       {{}, 100, disk.file("audit.jsonl")});
    auto client = ground.tls("api.test", there.port());
    int served = 0;
    std::string answer;
    const auto ask = [&] {
        client.send(get(there.port()));
        answer = client.read_message();
        served += answer.starts_with("HTTP/1.1 200 ");
        return answer.starts_with("HTTP/1.1 200 ");
    };
    while (ask()) REQUIRE(served < 10'000);
    CHECK(answer.starts_with("HTTP/1.1 503 "));
    CHECK(answer.find("the audit log cannot be written") != std::string::npos);
    for (int i = 0; i < 20; ++i) CHECK_FALSE(ask());
    CHECK(asked == served);                                 // not one reached the origin that is not served
    auto stream = ground.tunnel("api.test", there.port());  // allowed, as no HTTP
    stream.send("SSH-2.0-client\r\n");
    CHECK(stream.is_reset());
    CHECK(there.connections() == 1);

    REQUIRE(::truncate(filler.c_str(), 0) == 0);
    CHECK(comes_true(ask));
    for (int i = 0; i < 5; ++i) CHECK(ask());
    CHECK(asked == served);
    int lines = 0;
    for (const auto& event : ground.finish()) lines += event["event"] == "request" && event["status"] == 200;
    CHECK(lines == served);
}
