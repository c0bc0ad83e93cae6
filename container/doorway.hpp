#pragma once
// The sealed namespace's side of the sealed form in containers: keeps the sockets, and hands them to the gateway over a
// unix socket. All it says and hears is in this file; the gateway's side is doorway_client.hpp.
//
// A connection begins with one DoorwayRequest. That of `serve` stays open as long as the gateway lives: there is one at
// a time, since two must not accept from the same queue. The doorway keeps copies of all sockets, so that clients wait
// while no gateway is there.

#include <string>
#include <vector>

#include "container/gateway_sockets.hpp"

namespace sallyport::container {

/// SOCK_SEQPACKET, one byte each.
enum class DoorwayRequest : char {
    serve = 's',    ///< send_sockets(); or DoorwayAnswer::busy, and the end
    health = 'h',   ///< a DoorwayAnswer
    socket4 = '4',  ///< send_fresh_socket() of a TCP socket made in the namespace
    socket6 = '6',
};
enum class DoorwayAnswer : char {
    busy = 'b',     ///< a gateway is connected
    waiting = 'w',  ///< none is
};

/// Listens at `path`, which may be connected to by whoever can write to its directory as member of its group. A file
/// that a doorway left there is replaced. Throws StartupError, also when a doorway lives there.
UniqueFd listen_as_doorway(const std::string& path);

class Doorway {
public:
    /// `sockets` are those of this process's network namespace.
    Doorway(UniqueFd listener, GatewaySockets sockets) : listener_(std::move(listener)), sockets_(std::move(sockets)) {}

    /// Until something can be read from `stop`. Says on standard error when a gateway comes and goes.
    void serve(int stop);

private:
    void accept_one();
    void answer(UniqueFd peer);
    void hand_over(UniqueFd peer);

    UniqueFd listener_;
    GatewaySockets sockets_;
    UniqueFd gateway_;
    std::vector<UniqueFd> asking_;  ///< connected, have not said yet what they want; oldest first
};

}  // namespace sallyport::container
