#pragma once
// What the rules of a sealed namespace have to know. A value: no kernel, no sockets.

#include <cstdint>

namespace sallyport::netfilter {

struct InterceptPlan {
    std::uint16_t proxy_port = 0;  ///< on 127.0.0.1 (and ::1): gets every TCP connection that is not DNS
    std::uint16_t dns_port = 0;    ///< on the same addresses, UDP and TCP: gets every packet to port 53
    std::uint16_t log_group = 0;   ///< nflog group that hears about refused packets
    bool ipv6 = true;              ///< false: nobody listens on ::1, so IPv6 is refused instead of redirected
};

}  // namespace sallyport::netfilter
