#include "container/links.hpp"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <new>
#include <string>

#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

constexpr int kLoopbackIndex = 1;  // LOOPBACK_IFINDEX of net/flow.h: the same in every namespace

struct NlFree {
    void operator()(nl_sock* socket) const { nl_socket_free(socket); }
    void operator()(nl_addr* address) const { nl_addr_put(address); }
    void operator()(nl_cache* cache) const { nl_cache_free(cache); }
    void operator()(rtnl_link* link) const { rtnl_link_put(link); }
    void operator()(rtnl_addr* address) const { rtnl_addr_put(address); }
    void operator()(rtnl_route* route) const { rtnl_route_put(route); }
};

template <class T>
using NlPtr = std::unique_ptr<T, NlFree>;

template <class T>
NlPtr<T> own(T* object) {
    if (!object) throw std::bad_alloc();
    return NlPtr<T>(object);
}

void check(int result, const std::string& what) {
    if (result < 0) throw StartupError("cannot " + what + ": " + nl_geterror(result));
}

NlPtr<nl_sock> connect_to_rtnetlink() {
    auto socket = own(nl_socket_alloc());
    check(nl_connect(socket.get(), NETLINK_ROUTE), "connect to rtnetlink");
    return socket;
}

NlPtr<nl_addr> parse_address(const std::string& text, int family) {
    nl_addr* address = nullptr;
    check(nl_addr_parse(text.c_str(), family, &address), "parse " + text);
    return NlPtr<nl_addr>(address);
}

void add_address(nl_sock* socket, const std::string& text, int family) {
    const auto local = parse_address(text, family);
    const auto address = own(rtnl_addr_alloc());
    rtnl_addr_set_ifindex(address.get(), kLoopbackIndex);
    check(rtnl_addr_set_local(address.get(), local.get()), "set address " + text);
    // Without it an IPv6 address is tentative for a moment, and refused as a route's source as long.
    if (family == AF_INET6) rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
    check(rtnl_addr_add(socket, address.get(), NLM_F_REPLACE), "add address " + text + " to lo");
}

void add_route(nl_sock* socket, rtnl_route* route, const std::string& destination_text, int family, int table) {
    const auto destination = parse_address(destination_text, family);
    rtnl_route_set_family(route, static_cast<std::uint8_t>(family));
    rtnl_route_set_table(route, static_cast<std::uint32_t>(table));
    check(rtnl_route_set_dst(route, destination.get()), "set the destination of a route");
    auto* hop = rtnl_route_nh_alloc();
    if (!hop) throw std::bad_alloc();
    rtnl_route_nh_set_ifindex(hop, kLoopbackIndex);
    rtnl_route_add_nexthop(route, hop);  // the route owns it from here
    check(rtnl_route_add(socket, route, NLM_F_REPLACE), "route " + destination_text + " to lo");
}

// IPv6 calls a unicast route into `lo` a reject route (fib6_is_reject in net/ipv6/route.c). Of type unicast its error
// is 0, so connect(2) succeeds; the rules see the packet before the route's output function would discard it.
void add_default_route(nl_sock* socket, const std::string& source_text, int family) {
    const auto source = parse_address(source_text, family);
    const auto route = own(rtnl_route_alloc());
    rtnl_route_set_scope(route.get(), family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
    check(rtnl_route_set_pref_src(route.get(), source.get()), "set the source of the default route");
    add_route(socket, route.get(), "default", family, RT_TABLE_MAIN);
}

// The kernel adds this route itself, but from a work queue (addrconf_dad_work): an answer that comes earlier follows
// the default route into nothing, and the client waits a second for its next try.
void add_local_ipv6_route(nl_sock* socket) {
    const auto route = own(rtnl_route_alloc());
    check(rtnl_route_set_type(route.get(), RTN_LOCAL), "set the type of a route");
    add_route(socket, route.get(), std::string(kSandboxIpv6) + "/128", AF_INET6, RT_TABLE_LOCAL);
}

}  // namespace

std::vector<Uplink> uplinks() {
    const auto socket = connect_to_rtnetlink();
    nl_cache* links = nullptr;
    check(rtnl_link_alloc_cache(socket.get(), AF_UNSPEC, &links), "list the interfaces");
    const NlPtr<nl_cache> owner(links);
    std::vector<Uplink> found;
    for (auto* object = nl_cache_get_first(links); object; object = nl_cache_get_next(object)) {
        auto* link = reinterpret_cast<rtnl_link*>(object);
        if (rtnl_link_get_ifindex(link) != kLoopbackIndex)
            found.push_back({rtnl_link_get_name(link), (rtnl_link_get_flags(link) & IFF_UP) != 0});
    }
    return found;
}

void require_no_uplink() {
    for (const auto& uplink : uplinks())
        if (uplink.up)
            throw StartupError("this network namespace cannot be sealed, since it has the interface " + uplink.name +
                               "; start the container with no network of its own (network_mode: none)");
}

void raise_loopback() {
    const auto socket = connect_to_rtnetlink();
    const auto link = own(rtnl_link_alloc());
    const auto change = own(rtnl_link_alloc());
    rtnl_link_set_ifindex(link.get(), kLoopbackIndex);
    rtnl_link_set_flags(change.get(), IFF_UP);
    check(rtnl_link_change(socket.get(), link.get(), change.get(), 0), "bring lo up");
}

void route_all_to_loopback(bool ipv6) {
    const auto socket = connect_to_rtnetlink();
    add_address(socket.get(), kSandboxIpv4, AF_INET);
    add_default_route(socket.get(), kSandboxIpv4, AF_INET);
    if (!ipv6) return;
    add_address(socket.get(), kSandboxIpv6, AF_INET6);
    add_local_ipv6_route(socket.get());
    add_default_route(socket.get(), kSandboxIpv6, AF_INET6);
}

}  // namespace sallyport::container
