#pragma once
// Turns a fresh network namespace into one whose only way out is a set of sockets.

#include "gateway/base/unique_fd.hpp"

namespace sallyport::container {

/// Sockets that live in the sealed namespace, whoever holds them: nonblocking, close-on-exec. Those of IPv6 are
/// empty where the namespace has no IPv6. A TCP pair shares one port number, and so do the four DNS sockets.
struct SealedSockets {
    UniqueFd tcp4, tcp6;                              ///< listeners; SO_ORIGINAL_DST works on what they accept
    UniqueFd dns_udp4, dns_udp6, dns_tcp4, dns_tcp6;  ///< every query to port 53, whatever server was asked
    UniqueFd packet_log;                              ///< what the rules refused; see netfilter/packet_log.hpp
};

/// Call inside a network namespace that has no interface but `lo`, with CAP_NET_ADMIN over it, from a
/// single-threaded process, before the sandbox's first program runs. Afterwards every TCP connection and every DNS
/// query of that namespace ends in one of the returned sockets, and anything else is refused at once.
/// Throws StartupError; the namespace then has no route, so nothing is reachable from it. Throws also where the
/// sockets of an earlier call are still open, which then stay in force.
SealedSockets seal_namespace();

}  // namespace sallyport::container
