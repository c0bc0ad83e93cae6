#include "tests/support/outside_network.hpp"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sched.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "container/links.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::test {
namespace {

struct NlFree {
    void operator()(nl_sock* socket) const { nl_socket_free(socket); }
    void operator()(nl_addr* address) const { nl_addr_put(address); }
    void operator()(rtnl_link* link) const { rtnl_link_put(link); }
    void operator()(rtnl_addr* address) const { rtnl_addr_put(address); }
    void operator()(rtnl_route* route) const { rtnl_route_put(route); }
};
template <class T>
using NlPtr = std::unique_ptr<T, NlFree>;

void check(int result, const std::string& what) {
    if (result < 0) throw StartupError(what + ": " + nl_geterror(result));
}

NlPtr<nl_sock> rtnetlink() {
    NlPtr<nl_sock> socket(nl_socket_alloc());
    check(nl_connect(socket.get(), NETLINK_ROUTE), "rtnetlink");
    return socket;
}

NlPtr<nl_addr> parse(const std::string& text) {
    nl_addr* address = nullptr;
    check(nl_addr_parse(text.c_str(), AF_UNSPEC, &address), text);
    return NlPtr<nl_addr>(address);
}

UniqueFd new_namespace() {
    if (::unshare(CLONE_NEWNET) != 0) throw system_error("unshare", errno);
    return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

void enter(const UniqueFd& space) {
    if (::setns(space.get(), CLONE_NEWNET) != 0) throw system_error("setns", errno);
}

void add_veth(const UniqueFd& far) {
    const NlPtr<rtnl_link> link(rtnl_link_veth_alloc());
    const NlPtr<rtnl_link> peer(rtnl_link_veth_get_peer(link.get()));
    rtnl_link_set_name(link.get(), "up0");
    rtnl_link_set_name(peer.get(), "far0");
    rtnl_link_set_ns_fd(peer.get(), far.get());
    check(rtnl_link_add(rtnetlink().get(), link.get(), NLM_F_CREATE | NLM_F_EXCL), "add veth");
}

void configure(const char* name, const std::vector<std::string>& addresses) {
    container::raise_loopback();
    const auto socket = rtnetlink();
    const int index = static_cast<int>(::if_nametoindex(name));
    for (const auto& text : addresses) {
        const NlPtr<rtnl_addr> address(rtnl_addr_alloc());
        rtnl_addr_set_ifindex(address.get(), index);
        check(rtnl_addr_set_local(address.get(), parse(text).get()), text);
        rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
        check(rtnl_addr_add(socket.get(), address.get(), 0), "add " + text);
    }
    const NlPtr<rtnl_link> link(rtnl_link_alloc());
    const NlPtr<rtnl_link> change(rtnl_link_alloc());
    rtnl_link_set_ifindex(link.get(), index);
    rtnl_link_set_flags(change.get(), IFF_UP);
    check(rtnl_link_change(socket.get(), link.get(), change.get(), 0), "raise the uplink");
}

void add_default_route(const std::string& gateway, const std::string& everything) {
    const NlPtr<rtnl_route> route(rtnl_route_alloc());
    auto* hop = rtnl_route_nh_alloc();
    rtnl_route_nh_set_ifindex(hop, static_cast<int>(::if_nametoindex("up0")));
    rtnl_route_nh_set_gateway(hop, parse(gateway).get());
    rtnl_route_add_nexthop(route.get(), hop);
    check(rtnl_route_set_dst(route.get(), parse(everything).get()), everything);
    check(rtnl_route_add(rtnetlink().get(), route.get(), 0), "route to " + gateway);
}

}  // namespace

OutsideNetwork enter_outside_network() {
    OutsideNetwork network;
    network.far_namespace = new_namespace();
    network.near_namespace = new_namespace();
    add_veth(network.far_namespace);
    enter(network.far_namespace);
    configure("far0", {"203.0.113.53/24", "198.51.100.80/32", "2001:db8::53/64"});
    enter(network.near_namespace);
    configure("up0", {"203.0.113.1/24", "2001:db8::1/64"});
    add_default_route("203.0.113.53", "0.0.0.0/0");
    add_default_route("2001:db8::53", "::/0");
    return network;
}

}  // namespace sallyport::test
