#pragma once
// /proc/net/{tcp,udp}{,6} (net/ipv4/tcp_ipv4.c, get_tcp4_sock): every socket of this network namespace. Pure.

#include <string_view>
#include <vector>

#include "gateway/base/endpoint.hpp"

namespace sallyport::doctor {

struct ProcSocket {
    Endpoint local, remote;
};

/// Lines that make no sense are left out.
std::vector<ProcSocket> parse_proc_net(std::string_view text);

}  // namespace sallyport::doctor
