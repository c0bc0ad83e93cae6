#pragma once
// Carries the sealed sockets from the namespace in which they were made to the gateway: SCM_RIGHTS, unix(7).

#include "container/seal.hpp"

namespace sallyport::container {

/// Sends all sockets in one message. `unix_socket` is a connected stream or seqpacket socket. The sender's own copies
/// stay open as long as it keeps them: while anybody holds a listener, clients wait in its queue instead of being
/// refused. Throws StartupError when the other end is gone.
void send_sockets(int unix_socket, const GatewaySockets& sockets);

/// Waits for that message (as long as the socket's SO_RCVTIMEO allows). The descriptors are close-on-exec. Throws
/// StartupError when the other end is gone, the time is over, or the message is not exactly what send_sockets() sends.
GatewaySockets receive_sockets(int unix_socket);

/// One socket beside those: made in the namespace for a connection into it. Throws StartupError.
void send_fresh_socket(int unix_socket, int descriptor);
/// Does not wait. Empty when the other end is gone or the message is another. Close-on-exec.
UniqueFd receive_fresh_socket(int unix_socket);

}  // namespace sallyport::container
