#pragma once
// /proc/net/{tcp,udp}{,6} (net/ipv4/tcp_ipv4.c, get_tcp4_sock): every socket of this network namespace.

#include <sys/types.h>

#include <initializer_list>
#include <string_view>
#include <vector>

#include "gateway/base/endpoint.hpp"

namespace sallyport::doctor {

struct ProcSocket {
    Endpoint local, remote;
    uid_t owner = 0;
};

/// Lines that make no sense are left out.
std::vector<ProcSocket> parse_proc_net(std::string_view text);

/// Of those files, by name ("tcp6"), together. Not pure.
std::vector<ProcSocket> read_proc_net(std::initializer_list<const char*> files);

}  // namespace sallyport::doctor
