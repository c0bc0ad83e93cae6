// Transfers that have no end or no haste: what comes is passed on at once, and what is not taken is not held.

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "tests/support/sandbox.hpp"
#include "tests/support/transfer_origin.hpp"

using namespace sallyport::test;

namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;

struct Pair {
    std::string what, curl, url;
    Speaks origin;
};

const Pair kPairs[] = {
    {"h1 to h1", "curl -sSf --http1.1 ", "https://api.example.test", Speaks::https1},
    {"h1 to h2", "curl -sSf --http1.1 ", "https://api.example.test", Speaks::https2},
    {"h2 to h1", "curl -sSf --http2 ", "https://api.example.test", Speaks::http1},
    {"h2 to h2", "curl -sSf --http2 ", "https://api.example.test", Speaks::https2},
};

template <class Situation>
void for_pair(const Pair& pair, Situation situation) {
    for (const auto user : one_sandbox_user()) {
        const TransferOrigin origin;
        CAPTURE(pair.what);
        Sandbox sandbox(user, origin.serves("api.example.test", pair.origin), &origin);
        sandbox.options.limit = std::chrono::minutes(5);
        situation(pair, sandbox, origin);
    }
}

template <class Situation>
void for_each_pair(Situation situation) {
    for (const auto& pair : kPairs) for_pair(pair, situation);
}

/// The most memory that the process ever held, in bytes.
std::uint64_t peak_of(pid_t process) {
    std::ifstream status("/proc/" + std::to_string(process) + "/status");
    for (std::string word; status >> word;)
        if (word == "VmHWM:") {
            std::uint64_t kilobytes = 0;
            status >> kilobytes;
            return kilobytes * 1024;
        }
    throw std::runtime_error("the gateway has ended");
}

/// Its time on a processor, in ticks.
std::uint64_t time_of(pid_t process) {
    std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
    std::string word;
    for (int field = 1; field < 14; ++field) stat >> word;
    std::uint64_t user = 0, system = 0;
    stat >> user >> system;
    return user + system;
}

/// Until nothing was moved for a while, and the gateway had nothing to do: whatever can be passed on has been. Each
/// alone would also be so on a machine that is busy with something else.
void wait_for_rest(pid_t process, const TransferOrigin& origin) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    for (int still = 0; still < 2;) {
        const auto moved = origin.moved("body");
        const auto before = time_of(process);
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
        const bool rests = time_of(process) - before <= 2 && origin.moved("body") == moved;
        still = rests ? still + 1 : 0;
        REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
}

/// Runs `script`, which moves `size` bytes and says so, and meanwhile `watch`, with the gateway's process and what that
/// had held before. The most that the gateway held beyond that.
template <class Watch>
std::uint64_t growth(const Pair& pair, const Sandbox& sandbox, const TransferOrigin& origin, const std::string& script,
                     std::uint64_t size, Watch watch) {
    const auto ask = pair.curl + pair.url;
    Program gateway(sandbox.command_line({"sh", "-c",
                                          ask + "/move/ready/1 && " + ask + "/moved/begin/1 && { " + script +
                                              "; } && " + ask + "/move/over/1 && " + ask + "/moved/end/1"}),
                    sandbox.options);
    origin.moved("ready", 1);
    const auto at_start = peak_of(gateway.pid());
    origin.move("begin", 1);
    watch(gateway.pid(), at_start);
    origin.moved("over", 1);
    const auto grown = peak_of(gateway.pid()) - at_start;
    origin.move("end", 1);
    const auto ran = gateway.finish();
    CAPTURE(ran.shown());
    CHECK(ran.exited_with(0));
    CHECK(ran.says(std::to_string(size)));
    CHECK(grown < 8 * kMegabyte);
    return grown;
}

/// `script` moves the transfer named "body", without taking all of it until "/move/body-go/1".
void measure(const Pair& pair, const Sandbox& sandbox, const TransferOrigin& origin, const std::string& what,
             const std::string& script, std::uint64_t size) {
    std::uint64_t waiting = 0;
    const auto at_end = growth(pair, sandbox, origin, script, size, [&](pid_t gateway, std::uint64_t at_start) {
        origin.moved("body", 4 * kMegabyte);
        wait_for_rest(gateway, origin);
        waiting = peak_of(gateway) - at_start;
        const auto moved = origin.moved("body");
        CHECK(moved < size / 2);  // the rest is where it came from
        origin.move("body-go", 1);
    });
    MESSAGE(pair.what, ", ", what, ": ", waiting / 1024, " KB while it waited, ", at_end / 1024, " KB at the end");
}

}  // namespace

TEST_CASE("endurance: an origin that waits until its event was read gets on") {
    for_each_pair([](const Pair& pair, const Sandbox& sandbox, const TransferOrigin&) {
        const auto ran = sandbox.run(pair.curl + "-m 60 -N " + pair.url +
                                     "/events/read/10 | while read -r line; do case $line in data*) echo \"$line\"; " +
                                     pair.curl + pair.url + "/move/read/1;; esac; done");
        CAPTURE(ran.shown());
        CHECK(ran.exited_with(0));
        for (int i = 1; i <= 10; ++i) CHECK(ran.says("data: event " + std::to_string(i) + "\n"));
        CHECK(sandbox.audited({{"path", "/events/read/10"}, {"status", 200}}) == 1);
    });
}

TEST_CASE("endurance: of an upload whose end is not known each part arrives before the next is made") {
    for_each_pair([](const Pair& pair, const Sandbox& sandbox, const TransferOrigin&) {
        const auto ran = sandbox.run("for i in $(seq 10); do printf 'a part\\n'; " + pair.curl + "-m 20 " + pair.url +
                                     "/moved/made/$((i * 7)) >&2 || kill 0; done | " + pair.curl + "-T - " + pair.url +
                                     "/sink/made");
        CAPTURE(ran.shown());
        CHECK(ran.exited_with(0));
        CHECK(ran.out == "70\n");
        CHECK(ran.err.starts_with("7\n14\n21\n28\n35\n42\n49\n56\n63\n70\n"));
        CHECK(sandbox.audited({{"path", "/sink/made"}, {"bytes_out", 70}}) == 1);
    });
}

TEST_CASE("endurance: what a slow client does not read is not held") {
    const std::uint64_t size = 300 * kMegabyte;
    for_each_pair([&](const Pair& pair, const Sandbox& sandbox, const TransferOrigin& origin) {
        measure(pair, sandbox, origin, "slow client",
                pair.curl + "-N " + pair.url + "/bytes/" + std::to_string(size) +
                    "/body | { head -c 1000000 | wc -c; " + pair.curl + pair.url +
                    "/moved/body-go/1 >&2; { head -c 1000000 /dev/zero; cat; } | wc -c; }",
                size);
    });
}

TEST_CASE("endurance: what a slow origin does not read is not held") {
    const std::uint64_t size = 300 * kMegabyte;
    for_each_pair([&](const Pair& pair, const Sandbox& sandbox, const TransferOrigin& origin) {
        measure(
            pair, sandbox, origin, "slow origin",
            "head -c " + std::to_string(size) + " /dev/zero | " + pair.curl + "-T - " + pair.url + "/sink/body/4000000",
            size);
    });
}

TEST_CASE("endurance: a download that is longer than 32 bits can count arrives whole") {
    constexpr std::uint64_t kStep = 500 * kMegabyte;
    constexpr std::uint64_t kSize = 9 * kStep;
    const auto path = "/bytes/" + std::to_string(kSize) + "/body";
    for (const auto& pair : {kPairs[0], kPairs[3]})
        for_pair(pair, [&](const Pair&, const Sandbox& sandbox, const TransferOrigin& origin) {
            const auto grown =
                growth(pair, sandbox, origin, pair.curl + "-o /dev/null -w '%{size_download}\n' " + pair.url + path,
                       kSize, [&](pid_t, std::uint64_t) {
                           for (auto at = kStep; at <= kSize; at += kStep)
                               origin.moved("body", at);  // a minute for each
                       });
            CHECK(sandbox.audited({{"path", path}, {"status", 200}, {"bytes_in", kSize}}) == 1);
            MESSAGE(pair.what, ", ", kSize / kMegabyte, " MB: ", grown / 1024, " KB");
        });
}
