#include "tests/support/outside_recorder.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "container/files.hpp"
#include "gateway/base/endpoint.hpp"
#include "gateway/base/startup_error.hpp"
#include "tests/support/netns_fixture.hpp"
#include "tests/support/outside_network.hpp"

namespace sallyport::test {
namespace {

constexpr int kDeadlineMs = 15'000;
constexpr uid_t kNobody = 65534;
constexpr std::size_t kEthernetHeader = 14;
constexpr std::size_t kMostDescriptors = 16;

// ---- descriptors from the child that has been there

void send_descriptors(int channel, const std::vector<UniqueFd>& descriptors) {
    char byte = '+';
    iovec data{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))] = {};
    msghdr message{nullptr, 0, &data, 1, control, CMSG_SPACE(descriptors.size() * sizeof(int)), 0};
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
        const int fd = descriptors[i].get();
        std::memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
    }
    if (::sendmsg(channel, &message, MSG_NOSIGNAL) != 1) throw system_error("sendmsg", errno);
}

/// Runs `make` in a child and takes over what it opened. Throws std::runtime_error with the child's words.
std::vector<UniqueFd> descriptors_from_child(const std::function<std::vector<UniqueFd>()>& make) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) throw system_error("socketpair", errno);
    const UniqueFd here(pair[0]);
    UniqueFd there(pair[1]);
    const pid_t pid = ::fork();
    if (pid == 0) {
        try {
            send_descriptors(there.get(), make());
        } catch (const std::exception& error) {
            (void)!::send(there.get(), error.what(), std::strlen(error.what()), 0);
        }
        ::_exit(0);
    }
    there.reset();
    std::array<char, 512> text{};
    iovec data{text.data(), text.size() - 1};
    alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))] = {};
    msghdr message{nullptr, 0, &data, 1, control, sizeof control, 0};
    const auto got = ::recvmsg(here.get(), &message, MSG_CMSG_CLOEXEC);
    ::waitpid(pid, nullptr, 0);
    const cmsghdr* header = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (!header) throw std::runtime_error(text.data());
    std::vector<UniqueFd> descriptors;
    for (std::size_t at = CMSG_LEN(0); at < header->cmsg_len; at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, reinterpret_cast<const char*>(header) + at, sizeof fd);
        descriptors.emplace_back(fd);
    }
    return descriptors;
}

// ---- what is made outside

/// An ordinary user needs a namespace of users; every id stands for itself, so that exec takes the power away again.
void enter_user_namespace() {
    const auto id = [](unsigned number) { return std::to_string(number) + " " + std::to_string(number) + " 1"; };
    const auto users = id(::geteuid()), groups = id(::getegid());
    if (::unshare(CLONE_NEWUSER) != 0) throw system_error("unshare", errno);
    for (const auto& [file, text] :
         {std::pair{"setgroups", std::string("deny")}, std::pair{"uid_map", users}, std::pair{"gid_map", groups}}) {
        const UniqueFd fd(::open((std::string("/proc/self/") + file).c_str(), O_WRONLY | O_CLOEXEC));
        if (::write(fd.get(), text.data(), text.size()) < 0) throw system_error(file, errno);
    }
}

void name_the_name_server() {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        throw system_error("private mounts", errno);
    std::string file = "/tmp/sallyport-resolv-XXXXXX";
    const UniqueFd fd(::mkstemp(file.data()));
    ::fchmod(fd.get(), 0644);
    constexpr std::string_view kText = "nameserver 203.0.113.53\noptions timeout:1 attempts:1\n";
    const bool written = ::write(fd.get(), kText.data(), kText.size()) == static_cast<ssize_t>(kText.size());
    const int mounted = ::mount(file.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr);
    ::unlink(file.c_str());
    if (!written || mounted != 0) throw system_error("cover resolv.conf", errno);
}

UniqueFd bound(int type, const std::string& address, std::uint16_t port) {
    const Endpoint at{IpAddress::parse(address).value(), port};
    UniqueFd fd(::socket(at.address.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_storage storage{};
    const auto size = at.to_sockaddr(storage);
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0)
        throw system_error("bind " + address, errno);
    if (type == SOCK_STREAM && ::listen(fd.get(), 64) != 0) throw system_error("listen", errno);
    return fd;
}

UniqueFd packet_recorder() {
    UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
    const int size = 16 * 1024 * 1024;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0 && !fd)
        throw system_error("packet socket", errno);
    return fd;
}

constexpr std::array<std::pair<int, const char*>, 5> kServices = {{{SOCK_STREAM, "127.0.0.1"},
                                                                   {SOCK_STREAM, "::1"},
                                                                   {SOCK_STREAM, Outside::kAddress},
                                                                   {SOCK_DGRAM, "127.0.0.1"},
                                                                   {SOCK_DGRAM, Outside::kAddress}}};

/// A network namespace as a container has it: it forwards, takes packets from anywhere, lets everybody ping. And it
/// obeys source routes, as hosts may be told to. Where a setting is not ours to make it stays as it is.
void open_up_network() {
    const std::string all = "/proc/sys/net/ipv4/";
    for (const auto* setting : {"ip_forward", "conf/all/accept_source_route"}) std::ofstream(all + setting) << "1";
    for (const auto* interface : {"all", "lo", "up0"}) std::ofstream(all + "conf/" + interface + "/rp_filter") << "0";
    std::ofstream(all + "ping_group_range") << "0 2147483647";
}

std::vector<UniqueFd> make_outside() {
    if (::geteuid() != 0) enter_user_namespace();
    name_the_name_server();
    auto network = enter_outside_network();
    open_up_network();
    std::vector<UniqueFd> made;
    made.emplace_back(::open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
    made.emplace_back(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
    made.push_back(std::move(network.near_namespace));
    for (const auto& [type, address] : kServices) made.push_back(bound(type, address, Outside::kServicePort));
    if (::setns(network.far_namespace.get(), CLONE_NEWNET) != 0) throw system_error("setns", errno);
    made.push_back(bound(SOCK_DGRAM, "203.0.113.53", 53));
    made.push_back(packet_recorder());
    return made;
}

// ---- frames

std::uint8_t byte_at(const std::string& bytes, std::size_t at) {
    return at < bytes.size() ? static_cast<std::uint8_t>(bytes[at]) : std::uint8_t{0};
}

unsigned word_at(const std::string& bytes, std::size_t at) {
    return byte_at(bytes, at) * 256u + byte_at(bytes, at + 1);
}

IpAddress address_at(const std::string& bytes, std::size_t at, bool v6) {
    std::array<std::uint8_t, 16> address{};
    for (std::size_t i = 0; i < address.size(); ++i) address[i] = byte_at(bytes, at + i);
    return v6 ? IpAddress::v6(address) : IpAddress::v4({address[0], address[1], address[2], address[3]});
}

std::string destination(const std::string& frame) {
    const auto type = word_at(frame, 12);
    const bool v6 = type == ETHERTYPE_IPV6;
    char text[32];
    std::snprintf(text, sizeof text, "ethertype 0x%04x", type);
    if (type != ETHERTYPE_IP && !v6) return text;
    const auto protocol = byte_at(frame, kEthernetHeader + (v6 ? 6 : 9));
    const auto payload = kEthernetHeader + (v6 ? 40u : (byte_at(frame, kEthernetHeader) & 15u) * 4u);
    const auto address = address_at(frame, kEthernetHeader + (v6 ? 24 : 16), v6);
    const Endpoint to{address, static_cast<std::uint16_t>(word_at(frame, payload + 2))};
    if (protocol == IPPROTO_TCP) return "tcp " + to.to_string();
    if (protocol == IPPROTO_UDP) return "udp " + to.to_string();
    return "ip protocol " + std::to_string(protocol) + " to " + address.to_string();
}

/// What the kernel sends unasked. An attack that looks like it carries a marker.
bool is_noise(const std::string& frame) {
    if (frame.find(marker(0).substr(0, 3)) != frame.npos) return false;
    if (word_at(frame, 12) == ETHERTYPE_ARP) return true;
    if (word_at(frame, 12) != ETHERTYPE_IPV6) return false;
    const auto next = byte_at(frame, kEthernetHeader + 6);
    if (next == IPPROTO_HOPOPTS) return byte_at(frame, kEthernetHeader + 40) == IPPROTO_ICMPV6;  // membership: MLD
    const auto type = byte_at(frame, kEthernetHeader + 40);
    return next == IPPROTO_ICMPV6 && type >= ND_ROUTER_SOLICIT && type <= ND_NEIGHBOR_ADVERT;
}

}  // namespace

std::string marker(std::uint8_t number) { return {'\xc6', '\x33', '\x64', static_cast<char>(number)}; }

bool Recording::saw(std::uint8_t number) const {
    for (const auto& frame : frames)
        if (frame.find(marker(number)) != frame.npos) return true;
    return false;
}

std::vector<std::string> Recording::destinations() const {
    std::vector<std::string> all;
    for (const auto& frame : frames) all.push_back(destination(frame));
    return all;
}

// ---- processes

Running::~Running() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

bool Running::read_more() {
    pollfd source{output_.get(), POLLIN, 0};
    if (::poll(&source, 1, kDeadlineMs) <= 0) throw std::runtime_error("no word for long; so far: " + buffer_);
    std::array<char, 4096> block;
    const auto got = ::read(output_.get(), block.data(), block.size());
    if (got > 0) buffer_.append(block.data(), static_cast<std::size_t>(got));
    return got > 0;
}

std::string Running::read_line() {
    while (buffer_.find('\n') == buffer_.npos && read_more()) continue;
    const auto line = buffer_.substr(0, buffer_.find('\n'));
    buffer_.erase(0, line.size() + 1);
    return line;
}

std::string Running::read_all() {
    while (read_more()) continue;
    return std::exchange(buffer_, {});
}

std::string Running::finish() {
    auto output = read_all();
    int status = -1;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    if (status != 0) throw std::runtime_error("ended with wait status " + std::to_string(status) + ": " + output);
    return output;
}

// ---- the outside

std::unique_ptr<Outside> Outside::create() {
    auto outside = std::make_unique<Outside>();
    std::vector<UniqueFd> made;
    try {
        made = descriptors_from_child(make_outside);
    } catch (const std::exception& error) {
        skip(std::string("no outside here: ") + error.what());
        return nullptr;
    }
    auto next = made.begin();
    for (auto* place : {&outside->user_, &outside->mount_, &outside->net_}) *place = std::move(*next++);
    for (const auto& [type, address] : kServices)
        outside->services_.push_back(
            {(type == SOCK_STREAM ? "tcp " : "udp ") + std::string(address), std::move(*next++)});
    outside->name_server_ = std::move(*next++);
    outside->recorder_ = std::move(*next++);
    return outside;
}

std::unique_ptr<Running> Outside::start(const Launch& launch) const {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("pipe", errno);
    UniqueFd output(ends[0]), input(ends[1]);
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid != 0) return std::make_unique<Running>(pid, std::move(output));
    ::setsid();  // no terminal: what the test does to itself must not reach us, nor the other way round
    ::dup2(input.get(), STDOUT_FILENO);
    ::dup2(input.get(), STDERR_FILENO);
    const bool ours = ::geteuid() == 0;
    const bool entered = (ours || ::setns(user_.get(), 0) == 0) && ::setns(net_.get(), 0) == 0 &&
                         ::setns(mount_.get(), 0) == 0 && ::chdir(launch.directory.c_str()) == 0;
    if (launch.before) launch.before();
    const bool became =
        !launch.as_nobody || (::setgroups(1, &kNobody) == 0 && ::setresgid(kNobody, kNobody, kNobody) == 0 &&
                              ::setresuid(kNobody, kNobody, kNobody) == 0);
    std::vector<char*> arguments, environment;
    for (const auto& text : launch.command) arguments.push_back(const_cast<char*>(text.c_str()));
    for (const auto& text : launch.environment) environment.push_back(const_cast<char*>(text.c_str()));
    arguments.push_back(nullptr);
    environment.push_back(nullptr);
    if (entered && became) ::execve(arguments[0], arguments.data(), environment.data());
    ::dprintf(STDERR_FILENO, "cannot start %s: %s\n", arguments[0], std::strerror(errno));
    ::_exit(1);
}

UniqueFd Outside::open(const std::function<UniqueFd()>& make) const {
    auto made = descriptors_from_child([&] {
        if ((::geteuid() != 0 && ::setns(user_.get(), 0) != 0) || ::setns(net_.get(), 0) != 0 ||
            ::setns(mount_.get(), 0) != 0)
            throw system_error("setns", errno);
        std::vector<UniqueFd> one;
        one.push_back(make());
        return one;
    });
    return std::move(made.front());
}

Recording Outside::recorded() {
    Recording recording;
    std::array<char, 65536> buffer;
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    ssize_t got = 0;
    while ((got = ::recvfrom(recorder_.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from),
                             &size)) > 0) {
        std::string frame(buffer.data(), static_cast<std::size_t>(got));
        if (from.sll_pkttype != PACKET_OUTGOING && !is_noise(frame)) recording.frames.push_back(std::move(frame));
    }
    tpacket_stats statistics{};
    size = sizeof statistics;
    ::getsockopt(recorder_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &size);
    if (statistics.tp_drops != 0) throw std::runtime_error("the recorder dropped frames");
    return recording;
}

std::vector<std::string> Outside::visited() {
    std::vector<std::string> names;
    for (const auto& service : services_) {
        pollfd event{service.socket.get(), POLLIN, 0};
        if (::poll(&event, 1, 0) != 1) continue;
        names.push_back(service.name);
        std::array<char, 2048> waste;
        while (true) {
            const UniqueFd client(::accept4(service.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!client && ::recv(service.socket.get(), waste.data(), waste.size(), MSG_DONTWAIT) < 0) break;
        }
    }
    return names;
}

}  // namespace sallyport::test
