#include "netfilter/nft_socket.hpp"

#include <libnftnl/common.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <optional>

#include "gateway/base/startup_error.hpp"

namespace sallyport::netfilter {
namespace {

using ReplyBuffer = std::array<char, 32768>;  // more than any acknowledgement or table description

const char* advice(int error_number) {
    switch (error_number) {
        case EPERM:
            return " (it takes CAP_NET_ADMIN over this network namespace)";
        case ENOENT:
        case EOPNOTSUPP:
            return " (is a kernel module missing? On the host: modprobe -a nf_tables nft_fib_inet nft_redir "
                   "nft_reject_inet nft_limit nft_log nft_ct nft_chain_nat nft_socket nfnetlink_log; egress chains "
                   "take Linux 5.16)";
        default:
            return "";
    }
}

/// The errno of an acknowledgement (0: done), or nullopt for any other message.
std::optional<int> acknowledged(const nlmsghdr* message) {
    if (message->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(message) < sizeof(nlmsgerr)) return {};
    return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message))->error;
}

/// Calls `on_message` for all that is queued.
template <class F>
void drain(mnl_socket* socket, F on_message) {
    alignas(nlmsghdr) ReplyBuffer buffer;
    for (;;) {
        const auto length = ::recv(mnl_socket_get_fd(socket), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0 && errno == EAGAIN) return;
        if (length <= 0) throw system_error("cannot read nf_tables' answer", errno);
        int left = static_cast<int>(length);
        for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
             message = mnl_nlmsg_next(message, &left))
            on_message(message);
    }
}

}  // namespace

NftSocket::NftSocket() : socket_(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)) {
    if (!socket_) throw system_error("cannot open a netlink socket to nf_tables", errno);
    if (mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0)
        throw system_error("cannot bind to nf_tables", errno);
    int on = 1;  // errors need not repeat the message: its sequence number is enough
    mnl_socket_setsockopt(socket_.get(), NETLINK_CAP_ACK, &on, sizeof on);
}

void NftSocket::send(const void* bytes, std::size_t length) {
    if (mnl_socket_sendto(socket_.get(), bytes, length) != static_cast<ssize_t>(length))
        throw system_error("cannot send to nf_tables", errno);
}

void NftSocket::commit(const Batch& batch) {
    send(batch.bytes.data(), batch.bytes.size());
    std::vector<std::optional<int>> answers(batch.steps.size());
    drain(socket_.get(), [&](const nlmsghdr* message) {
        if (message->nlmsg_seq < answers.size()) answers[message->nlmsg_seq] = acknowledged(message);
    });
    const auto failed =
        std::find_if(answers.begin(), answers.end(), [](auto answer) { return answer.value_or(0) != 0; });
    if (failed != answers.end()) {
        const auto& step = batch.steps[static_cast<std::size_t>(failed - answers.begin())];
        throw StartupError(system_error("the kernel refused the firewall at: " + step, **failed).what() +
                           std::string(advice(**failed)));
    }
    for (std::size_t i = 1; i + 1 < answers.size(); ++i)
        if (!answers[i]) throw StartupError("the kernel did not acknowledge: " + batch.steps[i]);
}

bool NftSocket::has_table(const Table& wanted) {
    const std::unique_ptr<nftnl_table, decltype(&nftnl_table_free)> table(nftnl_table_alloc(), &nftnl_table_free);
    if (!table) throw std::bad_alloc();
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, wanted.name.c_str());
    alignas(nlmsghdr) std::array<char, 4096> buffer;
    const std::uint16_t family = wanted.family == Family::inet ? NFPROTO_INET : NFPROTO_NETDEV;
    auto* request = nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETTABLE, family, 0, 0);
    nftnl_table_nlmsg_build_payload(request, table.get());
    send(request, request->nlmsg_len);

    std::optional<bool> found;
    drain(socket_.get(), [&](const nlmsghdr* message) {
        const auto error = acknowledged(message);
        if (!error) found = true;
        else if (*error == ENOENT) found = false;
        else throw system_error("cannot ask nf_tables for table " + wanted.name, *error);
    });
    if (!found) throw StartupError("nf_tables does not say whether table " + wanted.name + " exists");
    return *found;
}

}  // namespace sallyport::netfilter
