// A disk that is full under the audit log: what is not in the log does not happen.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <thread>

#include "container/doorway.hpp"
#include "gateway/app/publisher.hpp"
#include "tests/support/http2_peer.hpp"
#include "tests/support/proxy_ground.hpp"
#include "tests/support/skip.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

constexpr std::size_t kDisk = 1024 * 1024;

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

std::string get(std::uint16_t port, const std::string& host = "api.test") {
    return fmt::format("GET / HTTP/1.1\r\nHost: {}:{}\r\nX-Fill: yes\r\n\r\n", host, port);
}

std::uint16_t port_of(int fd) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) == 0);
    return Endpoint::from_sockaddr(bound).value_or(Endpoint{}).port;
}

/// Accepts connections and says nothing on them, thousands without a thread each.
class SilentOrigin {
public:
    SilentOrigin() {
        sockaddr_in any{};
        any.sin_family = AF_INET;
        any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
        REQUIRE(::listen(listener_.get(), 4096) == 0);
    }
    std::uint16_t port() const { return port_of(listener_.get()); }
    bool nobody_came() const {
        pollfd waiting{listener_.get(), POLLIN, 0};
        return ::poll(&waiting, 1, 0) == 0;
    }
    WirePeer accept() const { return WirePeer(UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC))); }

private:
    const UniqueFd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

/// A doorway whose sandbox is this process's own namespace.
class OpenDoorway {
public:
    OpenDoorway() {
        REQUIRE(::mkdtemp(folder_.data()) != nullptr);
        doorway_.emplace(container::listen_as_doorway(path()), container::GatewaySockets{});
        REQUIRE(::pipe(stop_) == 0);
        thread_ = std::thread([this] { doorway_->serve(stop_[0]); });
    }
    ~OpenDoorway() {
        ::close(stop_[1]);
        thread_.join();
        ::close(stop_[0]);
        std::filesystem::remove_all(folder_);
    }
    std::string path() const { return folder_ + "/doorway"; }
    OpenDoorway(const OpenDoorway&) = delete;
    OpenDoorway& operator=(const OpenDoorway&) = delete;

private:
    std::string folder_ = "/tmp/sallyport-doorway-XXXXXX";
    std::optional<container::Doorway> doorway_;
    int stop_[2] = {-1, -1};
    std::thread thread_;
};

}  // namespace

TEST_CASE(
    "audit: with a full disk nothing is served and everybody is told; with room again it is, and no line is missing") {
    const SmallDisk disk;
    if (!disk.mounted()) return skip("no mount namespace can be had here");
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
    int served = 0;
    std::string answer;
    const auto ask = [&] {
        auto client = ground.tls("api.test", there.port());  // which ends with a request that is ended
        client.send(get(there.port()));
        answer = client.read_message();
        served += answer.starts_with("HTTP/1.1 200 ");
        return answer.starts_with("HTTP/1.1 200 ");
    };
    while (ask()) REQUIRE(served < 10'000);
    CHECK(answer.starts_with("HTTP/1.1 503 "));
    CHECK(answer.find("the audit log cannot be written") != std::string::npos);
    for (int i = 0; i < 20; ++i) CHECK_FALSE(ask());
    const int cut = asked - served;
    CHECK(cut <= 1);  // that was under way; of those that came later none reached the origin
    auto stream = ground.tunnel("api.test", there.port());  // allowed, as no HTTP
    stream.send("SSH-2.0-client\r\n");
    CHECK(stream.is_reset());
    CHECK(there.connections() == 1);

    REQUIRE(::truncate(filler.c_str(), 0) == 0);
    CHECK(comes_true(ask));
    for (int i = 0; i < 5; ++i) CHECK(ask());
    CHECK(asked == served + cut);
    int lines = 0, whole = 0;
    for (const auto& event : ground.finish()) {
        if (event["event"] != "request" || event["decision"] != "allow") continue;
        ++lines;
        whole += event["status"] == 200;
    }
    CHECK(lines == asked);
    CHECK(whole == served);
}

TEST_CASE("audit: with a full disk all that is under way is ended; with room again no line of it is missing") {
    const SmallDisk disk;
    if (!disk.mounted()) return skip("no mount namespace can be had here");
    constexpr std::size_t kTunnels = audit::Audit::kMaxWaiting + 100;
    constexpr std::size_t kStreams = 20;
    SilentOrigin silent;
    std::atomic<std::size_t> asked = 0;
    WireOrigin slow(
        [&](WirePeer& peer) {
            if (peer.read_message().find(" /slow ") != std::string::npos) ++asked;
            else peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
            peer.closed();
        },
        testing::make_server(ProxyGround::origin_ca().good("api.test")), WireOrigin::Serving::side_by_side);
    const auto filler = disk.file("filler");
    ProxyGround ground(
        fmt::format("[[allow]]\nhost = \"api.test\"\nport = [{}, {}]\nprivate = true\n", silent.port(), slow.port()),
        {{}, kTunnels + 100, disk.file("audit.jsonl")});

    std::vector<WirePeer> clients, origins;
    for (std::size_t i = 0; i < kTunnels; ++i) {
        clients.push_back(ground.tunnel("api.test", silent.port()));
        clients.back().send("SSH-2.0-client\r\n");
        origins.push_back(silent.accept());
    }
    Http2Peer requests(ground.tls("api.test", slow.port(), "h2"), Http2Peer::Role::client);
    requests.start();
    for (std::size_t i = 0; i < kStreams; ++i)
        requests.send_fields(requests.new_stream(),
                             {{":method", "GET"},
                              {":scheme", "https"},
                              {":authority", fmt::format("api.test:{}", slow.port())},
                              {":path", "/slow"}},
                             true);
    CHECK(comes_true([&] { return asked == kStreams; }));

    auto client = ground.tls("api.test", slow.port());
    std::ofstream(filler) << std::string(kDisk, 'x') << std::flush;
    std::string answer;
    const auto ask = [&](const std::string& host) {
        client.send(get(slow.port(), host));
        answer = client.read_message();
    };
    for (ask("other.test"); answer.starts_with("HTTP/1.1 421 "); ask("other.test")) continue;  // each is a line
    CHECK(answer.starts_with("HTTP/1.1 503 "));
    for (auto& tunnel : clients) REQUIRE(tunnel.is_reset());  // waiting for each that is not would take hours
    for (auto& tunnel : origins) {
        tunnel.read_until("\n");
        REQUIRE(tunnel.is_reset());
    }
    for (std::uint32_t id = 1; id < 2 * kStreams; id += 2) {
        CHECK(requests.wait_for([&] { return requests.stream(id).ended; }));
        CHECK(requests.stream(id).body.find("the audit log cannot be written") != std::string::npos);
    }

    REQUIRE(::truncate(filler.c_str(), 0) == 0);
    CHECK(comes_true([&] {
        ask("api.test");
        return answer.starts_with("HTTP/1.1 200 ");
    }));
    std::size_t tunnels = 0, streams = 0;
    for (const auto& event : ground.finish()) {
        if (event["decision"] != "allow") continue;
        const bool was_ended =
            event["reason"].get<std::string>().find("the audit log cannot be written") != std::string::npos;
        tunnels += event["event"] == "connection" && was_ended;
        streams += event["event"] == "request" && was_ended;
    }
    CHECK(tunnels == kTunnels);
    CHECK(streams == kStreams);
}

TEST_CASE("audit: with a full disk a published connection is ended, and none is let in until there is room") {
    const SmallDisk disk;
    if (!disk.mounted()) return skip("no mount namespace can be had here");
    const SilentOrigin inside;
    const OpenDoorway doorway;
    const auto filler = disk.file("filler"), log = disk.file("audit.jsonl");
    std::optional<audit::Audit> audit(std::in_place, log);
    const std::vector<policy::Publication> publications{{inside.port(), 0, {}}};
    auto listeners = app::open_published_ports(publications);
    const auto port = port_of(listeners.front().get());
    boost::asio::io_context io{1};
    app::Publisher publisher(io, doorway.path(), *audit, publications, std::move(listeners));
    std::thread serving([&io] {
        block_sigpipe();
        io.run();
    });

    const auto let_in = [&](WirePeer& client) {
        client.send("question");
        auto server = inside.accept();
        CHECK(server.read_exactly(8) == "question");
        server.send("answer");
        CHECK(client.read_exactly(6) == "answer");
        return server;
    };
    WirePeer client(connect_to_loopback(port));
    auto server = let_in(client);
    std::ofstream(filler) << std::string(kDisk, 'x') << std::flush;
    CHECK(comes_true([&] {
        audit->record(audit::ConnectionEvent{});
        return !audit->healthy();
    }));
    CHECK(client.is_reset());
    CHECK(server.is_reset());
    for (int i = 0; i < 20; ++i) CHECK(WirePeer(connect_to_loopback(port)).is_reset());
    CHECK(inside.nobody_came());

    REQUIRE(::truncate(filler.c_str(), 0) == 0);
    CHECK(comes_true([&] { return audit->healthy(); }));
    WirePeer next(connect_to_loopback(port));
    let_in(next).close();
    CHECK(next.closed());
    next.close();
    CHECK(comes_true([&] {
        std::promise<std::size_t> left;
        boost::asio::post(io, [&] { left.set_value(publisher.connections()); });
        return left.get_future().get() == 0;
    }));
    boost::asio::post(io, [&publisher] { publisher.stop("the test is over"); });
    serving.join();
    audit.reset();
    int ended = 0, whole = 0, others = 0;
    std::ifstream in(log);
    for (std::string line; std::getline(in, line);) {
        const auto event = nlohmann::json::parse(line);
        if (event["protocol"] != "inbound") continue;
        const auto reason = event.value("reason", "");
        (reason == audit::kUnwritable ? ended : reason.empty() ? whole : others) += 1;
        CHECK(event["decision"] == "allow");
        CHECK(event["bytes_out"] == 8);
    }
    CHECK(ended == 1);  // those that were not let in have no line: there may be any number of them
    CHECK(whole == 1);
    CHECK(others == 0);
}
