// The real sallyport, attacked from within (the programs are in escape_attacks.cpp), in an outside of its own
// (support/outside_recorder.hpp). Judged by what arrived there.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "tests/support/escape_ground.hpp"
#include "tests/support/fake_dns.hpp"
#include "tests/support/guarded_run.hpp"
#include "tests/support/packet_attacks.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

using Strings = std::vector<std::string>;

/// The name server that the gateway asks: outside, at the far end of the wire.
class NameServer {
public:
    NameServer(Outside& outside, const std::vector<std::pair<std::string, std::string>>& zone)
        : dns_(io_, outside.take_name_server()) {
        for (const auto& [name, address] : zone) dns_.address(name, address);
        thread_ = std::thread([this] { io_.run(); });
    }
    ~NameServer() {
        io_.stop();
        thread_.join();
    }

private:
    boost::asio::io_context io_{1};
    testing::FakeDns dns_;
    std::thread thread_;
};

/// What was recorded apart from the gateway's own questions.
Strings beyond_the_name_server(const Recording& recording) {
    auto all = recording.destinations();
    std::erase(all, "udp 203.0.113.53:53");
    return all;
}

/// The child's own, which is a session leader without one. The master stays open as long as the child.
void take_a_terminal() {
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
    ::grantpt(master);
    ::unlockpt(master);
    ::open(::ptsname(master), O_RDWR | O_CLOEXEC);
}

bool says(const std::string& output, const std::string& text) { return output.find(text) != output.npos; }

std::string content(const std::filesystem::path& file) {
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("escape: the rules, the namespaces and the gateway's ports cannot be taken over") {
    for (const bool nobody : each_user()) {
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        const auto output = ground.under_sallyport(EscapeGround::attack("seal"))->finish();
        CHECK_FALSE_MESSAGE(says(output, "BAD"), output);
        CHECK_FALSE_MESSAGE(says(output, "listeners 0"), output);
        CHECK(ground.outside->recorded().destinations() == Strings());
    }
}

TEST_CASE("escape: a command that shares its terminal with the gateway cannot end it by a signal to their group") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        const auto output = ground.under_sallyport(EscapeGround::attack("signals"), take_a_terminal)->finish();
        CHECK(output == "alive\n");
        CHECK(says(ground.audit(), "signalled.evil.example"));
    }
}

TEST_CASE("escape: services outside hear nothing, on IP or unix sockets") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        EscapeGround ground(nobody);
        if (!ground.outside) return;
        const auto here = ground.directory().string();
        std::string sockets = "relative.sock sub/relative.sock " + here + "/absolute.sock @sallyport-escape-" +
                              std::to_string(::getpid());
        if (::geteuid() == 0 && !nobody) sockets += " /run/sallyport-escape.sock /var/sallyport-escape.sock";
        std::filesystem::create_directory(ground.directory() / "sub");
        std::filesystem::permissions(ground.directory() / "sub", std::filesystem::perms(0777));
        ground.environment.push_back("SOCKETS=" + sockets);

        for (const bool guarded : {false, true}) {
            const auto listener = ground.without_sallyport(EscapeGround::attack("listener"));
            CHECK(listener->read_line() == "listening");
            if (guarded) ground.under_sallyport(EscapeGround::attack("services"))->finish();
            else ground.without_sallyport(EscapeGround::attack("services"))->finish();
            ::kill(listener->pid(), SIGTERM);
            const auto heard = listener->read_all();
            const auto visited = ground.outside->visited();
            std::istringstream names(sockets);
            for (std::string name; names >> name;) {
                CHECK_MESSAGE(says(heard, "visited " + name) == !guarded, name);
                ::unlink((name[0] == '/' ? name : here + "/" + name).c_str());
            }
            CHECK(visited.size() == (guarded ? 0u : 5u));
        }
        CHECK(ground.outside->recorded().destinations() == Strings());
    }
}

TEST_CASE("escape: no name leaves, whatever is asked of whatever server") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        EscapeGround ground(nobody);
        if (!ground.outside) return;
        ground.without_sallyport(EscapeGround::attack("names"))->finish();
        const auto control = ground.outside->recorded();
        for (const int number : {52, 53, 54}) CHECK(control.saw(static_cast<std::uint8_t>(number)));

        ground.environment.push_back("WAIT=1");
        const auto output = ground.under_sallyport(EscapeGround::attack("names"))->finish();
        CHECK(output == "resolved\n");
        CHECK(ground.outside->recorded().destinations() == Strings());
        CHECK(says(ground.audit(), "stolen-1.evil.example"));
    }
}

TEST_CASE("escape: an allowed name that turns into an inside address leads nowhere") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        EscapeGround ground(nobody, "[[allow]]\nhost = \"*.rebind.example\"\nport = [80, 7777]\n");
        if (!ground.outside) return;
        const NameServer names(*ground.outside, {{"four.rebind.example", "127.0.0.1"},
                                                 {"six.rebind.example", "::1"},
                                                 {"mapped.rebind.example", "::ffff:127.0.0.1"},
                                                 {"any.rebind.example", "0.0.0.0"},
                                                 {"own.rebind.example", Outside::kAddress},
                                                 {"metadata.rebind.example", "169.254.169.254"},
                                                 {"private.rebind.example", "10.1.2.3"},
                                                 {"far.rebind.example", "198.51.100.80"}});
        ground.environment.push_back(
            "HOSTS=four.rebind.example six.rebind.example mapped.rebind.example "
            "any.rebind.example own.rebind.example metadata.rebind.example "
            "private.rebind.example far.rebind.example");
        const auto output = ground.under_sallyport(EscapeGround::attack("rebinding"))->finish();
        INFO(output);
        const auto left = ground.outside->recorded();
        CHECK(ground.outside->visited() == Strings());
        CHECK(beyond_the_name_server(left) == Strings{"tcp 198.51.100.80:80", "tcp 198.51.100.80:7777"});
        CHECK(left.destinations().size() > 2);  // the gateway did ask
        CHECK(says(output, "four.rebind.example:7777 HTTP/1.1 "));
    }
}

TEST_CASE("escape: an allowed name towards another address reaches the name's own") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        const NameServer names(*ground.outside, {{"good.example", "198.51.100.80"}});
        const auto output = ground.under_sallyport(EscapeGround::attack("another address"))->finish();
        CHECK_MESSAGE(output == "plain HTTP/1.1 502\ntls HTTP/1.1 502\n", output);
        const auto left = ground.outside->recorded();
        CHECK(beyond_the_name_server(left) == Strings{"tcp 198.51.100.80:80", "tcp 198.51.100.80:443"});
        CHECK_FALSE(left.saw(55));
        CHECK_FALSE(left.saw(56));
    }
}

TEST_CASE("escape: when the gateway is killed the flood ends, and nothing of it leaves") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        for (int attempt = 0; attempt < 5; ++attempt) {
            const auto gateway = ground.under_sallyport(EscapeGround::attack("flood"));
            for (int round = 0; round <= attempt; ++round) CHECK(gateway->read_line() == "round");
            ::kill(gateway->pid(), SIGKILL);
            gateway->read_all();  // every process of the sandbox is gone
        }
        CHECK(ground.outside->recorded().destinations() == Strings());

        const auto control = ground.without_sallyport(EscapeGround::attack("flood"));
        CHECK(control->read_line() == "round");
        const auto left = ground.outside->recorded();
        for (const int number : {60, 61, 62}) CHECK(left.saw(static_cast<std::uint8_t>(number)));
    }
}

TEST_CASE("escape: ten thousand connections and names later the gateway still serves") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        const NameServer names(*ground.outside, {{"good.example", "198.51.100.80"}});
        const auto output = ground.under_sallyport(EscapeGround::attack("exhaustion"))->finish();
        CHECK_MESSAGE(output == "HTTP/1.1 502\n", output);
        CHECK(beyond_the_name_server(ground.outside->recorded()) == Strings{"tcp 198.51.100.80:80"});
    }
}

TEST_CASE("escape: the audit log, the policy and a secret's file cannot be forged, moved or read") {
    const std::string policy =
        "[[allow]]\nhost = \"good.example\"\n[[secret]]\nname = \"key\"\nhost = \"good.example\"\n"
        "header = \"x-api-key\"\nvalue = { file = \"keys/real\" }\n";
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        EscapeGround ground(nobody, policy);
        if (!ground.outside) return;
        std::filesystem::create_directory(ground.directory() / "keys");
        std::ofstream(ground.directory() / "keys/real") << "the-real-secret";
        if (nobody) {
            REQUIRE(::chown((ground.directory() / "keys").c_str(), 65534, 65534) == 0);
            REQUIRE(::chown((ground.directory() / "keys/real").c_str(), 65534, 65534) == 0);
        }
        ground.environment.push_back("FILES=audit.jsonl sallyport.toml keys/real");
        const auto output = ground.under_sallyport(EscapeGround::attack("forgery"))->finish();
        CHECK_FALSE_MESSAGE(says(output, "BAD"), output);
        CHECK(content(ground.directory() / "sallyport.toml") == policy);
        CHECK(content(ground.directory() / "keys/real") == "the-real-secret");
        CHECK(says(ground.audit(), "seen.evil.example"));
        CHECK_FALSE(says(ground.audit(), "forged"));
        struct stat info {};
        CHECK((::stat((ground.directory() / "audit.jsonl").c_str(), &info) == 0 && (info.st_mode & 0777) == 0600));
    }
}
