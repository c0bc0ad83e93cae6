#include "container/own_cgroup.hpp"

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <vector>

#include "container/files.hpp"
#include "gateway/base/startup_error.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::container {
namespace {

constexpr std::uint64_t kRootCgroup = 1;  // the inode of a kernfs root (fs/kernfs/dir.c)

struct Listener {
    UniqueFd fd;
    sockaddr_in address{};
    std::uint64_t cookie = 0;
};

Listener open_listener() {
    Listener listener{UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP))};
    const int fd = listener.fd.get();
    listener.address.sin_family = AF_INET;
    listener.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* address = reinterpret_cast<sockaddr*>(&listener.address);
    socklen_t size = sizeof listener.address;
    socklen_t cookie_size = sizeof listener.cookie;
    if (fd < 0 || ::bind(fd, address, size) != 0 || ::listen(fd, 1) != 0 || ::getsockname(fd, address, &size) != 0 ||
        ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &listener.cookie, &cookie_size) != 0)
        throw system_error("cannot open a socket to find out the cgroup", errno);
    return listener;
}

void put_question(nlmsghdr* message, const Listener& about) {
    message->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message->nlmsg_flags = NLM_F_REQUEST;
    auto* question = static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(message, sizeof(inet_diag_req_v2)));
    question->sdiag_family = AF_INET;
    question->sdiag_protocol = IPPROTO_TCP;
    question->idiag_states = ~0u;
    question->id.idiag_sport = about.address.sin_port;
    question->id.idiag_src[0] = about.address.sin_addr.s_addr;
    static_assert(sizeof question->id.idiag_cookie == sizeof about.cookie);
    const std::array<std::uint32_t, 2> cookie{static_cast<std::uint32_t>(about.cookie),
                                              static_cast<std::uint32_t>(about.cookie >> 32)};
    std::memcpy(question->id.idiag_cookie, cookie.data(), sizeof cookie);
}

int read_attribute(const nlattr* attribute, void* id) {
    if (mnl_attr_get_type(attribute) == INET_DIAG_CGROUP_ID && mnl_attr_validate(attribute, MNL_TYPE_U64) == 0)
        *static_cast<std::uint64_t*>(id) = mnl_attr_get_u64(attribute);
    return MNL_CB_OK;
}

/// 0 when the answer has none.
std::uint64_t ask(const Listener& about) {
    const UniqueFd diag(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (!diag) throw system_error("cannot ask for the cgroup of a socket", errno);
    alignas(nlmsghdr) std::array<char, 8192> buffer{};
    auto* message = mnl_nlmsg_put_header(buffer.data());
    put_question(message, about);
    if (::send(diag.get(), message, message->nlmsg_len, 0) < 0)
        throw system_error("cannot ask for the cgroup of a socket", errno);
    const auto length = ::recv(diag.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);  // answered inside send(2)
    if (length < 0 || !mnl_nlmsg_ok(message, static_cast<int>(length)))
        throw system_error("no answer about the cgroup of a socket", errno);
    if (message->nlmsg_type == NLMSG_ERROR && mnl_nlmsg_get_payload_len(message) >= sizeof(nlmsgerr))
        throw system_error("cannot ask for the cgroup of a socket",
                           -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message))->error);
    std::uint64_t id = 0;
    mnl_attr_parse(message, sizeof(inet_diag_msg), read_attribute, &id);
    return id;
}

}  // namespace

// Docker's name for a container is the path of its cgroup in every hierarchy that the engine manages.
bool is_of_one_container(const std::string& proc_self_cgroup) {
    std::string unified;
    std::vector<std::string> managed;
    std::istringstream lines(proc_self_cgroup);
    for (std::string line; std::getline(lines, line);) {
        const auto name = line.find(':') + 1;
        const auto path = line.find(':', name) + 1;
        if (line.starts_with("0::")) unified = line.substr(path);
        else if (const auto hierarchy = line.substr(name, path - name - 1);
                 hierarchy == "name=systemd" || hierarchy == "pids")
            managed.push_back(line.substr(path));
    }
    if (unified.starts_with("/..")) return false;
    return std::all_of(managed.begin(), managed.end(),
                       [&](const std::string& path) { return path == "/" || path == unified; });
}

std::uint64_t own_cgroup_id() {
    if (!is_of_one_container(read_file("/proc/self/cgroup").value_or("")))
        throw StartupError(
            "this host's engine gives containers no cgroup (v2) of their own, so the rules would let out the sandbox "
            "as "
            "well; tell the gateway apart by a user of its own (--exempt user)");
    const auto listener = open_listener();
    const auto id = ask(listener);
    if (id == 0)
        throw StartupError(
            "this kernel does not say to which cgroup (v2) a socket belongs; tell the gateway apart by a "
            "user of its own (--exempt user)");
    if (id == kRootCgroup)
        throw StartupError(
            "the gateway is in the root cgroup (v2), which holds the sandbox too; give it a container of "
            "its own on a host with cgroup v2, or tell it apart by a user of its own (--exempt user)");
    return id;
}

}  // namespace sallyport::container
