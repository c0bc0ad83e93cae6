#pragma once
// Where a redirected connection was going: the one getsockopt (linux/netfilter_ipv4.h, SO_ORIGINAL_DST).

#include "gateway/base/endpoint.hpp"
#include "gateway/base/result.hpp"

namespace sallyport::net {

/// `fd` is a connection that a listener of the sandbox's own namespace accepted. A connection that was not
/// redirected (its destination is the listener itself) is ErrorKind::refused: nothing falls back to a guess.
Result<OriginalDst> original_destination(int fd);

/// Our end of a connected socket: what the client dialled where nothing was redirected.
Result<OriginalDst> local_address(int fd);

/// The other end of a connected socket.
Result<ClientAddr> client_address(int fd);

}  // namespace sallyport::net
