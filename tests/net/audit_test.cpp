#include "gateway/audit/audit.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "gateway/base/startup_error.hpp"

using namespace sallyport;
using namespace sallyport::audit;

namespace {

/// A directory that goes with the test.
class Scratch {
public:
    Scratch() {
        std::string name = std::filesystem::temp_directory_path() / "sallyport-audit-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~Scratch() { std::filesystem::remove_all(path_); }
    std::string file(const char* name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

NameEvent name_event(const std::string& name) {
    NameEvent event;
    event.name = name;
    return event;
}

std::vector<std::string> lines(std::istream& in) {
    std::vector<std::string> result;
    for (std::string line; std::getline(in, line);) result.push_back(line);
    return result;
}

std::vector<std::string> lines_of(const std::string& file) {
    std::ifstream in(file);
    return lines(in);
}

}  // namespace

TEST_CASE("audit: all events are in the file when it is closed, behind what was there, readable by its owner only") {
    const Scratch scratch;
    const auto file = scratch.file("log");
    for (int run = 0; run < 2; ++run) {
        Audit audit(file);
        for (int i = 0; i < 100; ++i) audit.record(name_event("n" + std::to_string(i)));
        CHECK(audit.healthy());
        CHECK(audit.summary().find("100 names not resolved") != std::string::npos);
    }
    const auto all = lines_of(file);
    REQUIRE(all.size() == 200);
    for (std::size_t i = 0; i < all.size(); ++i)
        CHECK(all[i].find("\"name\":\"n" + std::to_string(i % 100) + "\"") != std::string::npos);
    struct stat status {};
    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
}

TEST_CASE("audit: many threads at once: no event lost, none torn, order kept within a thread") {
    const Scratch scratch;
    const auto file = scratch.file("log");
    constexpr int kThreads = 4, kEvents = 3000;
    {
        Audit audit(file);
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t)
            threads.emplace_back([&audit, t] {
                for (int i = 0; i < kEvents; ++i) audit.record(name_event(std::to_string(t) + "-" + std::to_string(i)));
            });
        for (auto& thread : threads) thread.join();
    }
    std::vector<int> next(kThreads, 0);
    for (const auto& line : lines_of(file)) {
        REQUIRE(line.front() == '{');
        REQUIRE(line.back() == '}');
        int t = -1, i = -1;
        REQUIRE(std::sscanf(line.c_str() + line.find("\"name\":\""), "\"name\":\"%d-%d\"", &t, &i) == 2);
        REQUIRE(next.at(static_cast<std::size_t>(t))++ == i);
    }
    CHECK(next == std::vector<int>(kThreads, kEvents));
}

TEST_CASE("audit: a slow disk makes record() wait instead of losing events") {
    const Scratch scratch;
    const auto file = scratch.file("fifo");
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    UniqueFd reader(::open(file.c_str(), O_RDONLY | O_NONBLOCK));
    constexpr int kEvents = 10'000;
    std::atomic<int> recorded = 0;
    std::thread producer([&] {
        Audit audit(file);
        for (int i = 0; i < kEvents; ++i, ++recorded) audit.record(name_event("n" + std::to_string(i)));
    });
    // With nobody reading, what is recorded is bounded by the queue, one batch and the pipe.
    while (recorded < static_cast<int>(Audit::kMaxWaiting)) std::this_thread::yield();
    CHECK(recorded < kEvents);
    ::fcntl(reader.get(), F_SETFL, 0);
    std::string text;
    std::array<char, 65536> block;
    for (ssize_t got; (got = ::read(reader.get(), block.data(), block.size())) > 0;)
        text.append(block.data(), static_cast<std::size_t>(got));
    producer.join();
    std::istringstream in(text);
    CHECK(lines(in).size() == kEvents);
}

TEST_CASE("audit: while it cannot be written it is unhealthy, and nobody waits for it") {
    if (::access("/dev/full", W_OK) != 0) {
        MESSAGE("skipped: no /dev/full here");
        CHECK(std::getenv("CI") == nullptr);
        return;
    }
    Audit audit(std::string("/dev/full"));
    audit.record(name_event("first"));
    while (audit.healthy()) std::this_thread::yield();
    for (std::size_t i = 0; i < 3 * Audit::kMaxWaiting; ++i) audit.record(name_event("later"));
    CHECK_FALSE(audit.healthy());
    CHECK(audit.summary().find("later") != std::string::npos);
}

TEST_CASE("audit: a log that cannot be opened stops the start; no log is fine") {
    CHECK_THROWS_WITH_AS(Audit(std::string("/nonexistent/log")),
                         "the audit log /nonexistent/log cannot be opened: No such file or directory", StartupError);
    Audit silent(std::nullopt);
    silent.record(name_event("only.counted"));
    CHECK(silent.healthy());
    CHECK(silent.summary().find("only.counted (1)") != std::string::npos);
}
