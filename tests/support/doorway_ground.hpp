#pragma once
// A doorway and gateways as real processes: the doorway seals a network namespace of its own, the gateways live in the
// outside that is recorded. Clients and servers of the sandbox are sockets made in the sealed namespace.

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/docker_root.hpp"
#include "tests/support/outside_recorder.hpp"
#include "tests/support/wire_peer.hpp"

namespace sallyport::test {

class DoorwayGround {
public:
    explicit DoorwayGround(const std::string& policy = "[[allow]]\nhost = \"good.example\"\n");
    ~DoorwayGround();
    DoorwayGround(const DoorwayGround&) = delete;

    using Arguments = std::vector<std::string>;
    /// sallyport in the outside's namespaces.
    std::unique_ptr<Running> start(const Arguments& arguments) const;
    /// sallyport in another network namespace.
    std::unique_ptr<Running> start_in(int network, const Arguments& arguments) const;
    /// `sallyport doorway` there, and waits until it has sealed the namespace.
    std::unique_ptr<Running> doorway(int network) const;
    /// `sallyport gateway --doorway` with the folder's policy, state and log; does not wait.
    std::unique_ptr<Running> gateway(const Arguments& more = {}) const;

    /// A TEST_CASE "attack: ..." of this binary there, as root of a container; -1 is the outside's namespace.
    std::unique_ptr<Running> attack(int network, const std::string& test_case, NetRaw net_raw) const;

    /// A network namespace with nothing but `lo`, which is down.
    UniqueFd new_network() const;
    /// A TCP connection made in that namespace; empty when it is refused.
    UniqueFd connect_in(int network, const std::string& address, std::uint16_t port) const;
    UniqueFd connect_outside(const std::string& address, std::uint16_t port) const;
    UniqueFd listen_in(int network, const std::string& address, std::uint16_t port) const;

    const std::filesystem::path& directory() const { return directory_; }
    std::string socket() const { return directory_ / "doorway" / "socket"; }
    std::string read(const std::string& file) const;

    std::unique_ptr<Outside> outside;  ///< null: not to be had here, which has been said

private:
    std::filesystem::path directory_;
};

/// Reads until a line holds `text`; that line, or "" at the end of the output.
std::string line_with(Running& process, const std::string& text);
void kill_hard(Running& process);

}  // namespace sallyport::test
