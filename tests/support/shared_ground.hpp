#pragma once
// A namespace with an uplink that a gateway shares with a sandbox, as a container engine would set it up: a far end
// that records, a gateway in a cgroup of its own or with a user of its own, a sandbox that is root with Docker's
// capabilities.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/docker_root.hpp"
#include "tests/support/outside_recorder.hpp"

namespace sallyport::test {

enum class ToldApartBy { cgroup, user };
enum class Cgroups { read_only, writable };
enum class Who { gateway, sandbox, far_end };

class SharedGround {
public:
    static constexpr uid_t kGatewayUser = 65532;

    /// Null where it cannot be had: said, and failed where CI is set.
    static std::unique_ptr<SharedGround> create(ToldApartBy how);
    ~SharedGround();
    SharedGround(const SharedGround&) = delete;

    /// Calls container::guard_shared_namespace() as the gateway, in a process that then ends. Returns its error, or "".
    std::string guard(std::vector<std::uint16_t> published = {}) const;

    /// A nonblocking socket of theirs, to be used by the test: rules look at who made it.
    UniqueFd socket(Who who, int family, int type) const;
    /// Runs in the namespace that they share, as root of everything; throws what `body` throws.
    void inside(const std::function<void()>& body) const;

    /// For those in the namespace, who find them read-only at first, as in a container.
    void make_cgroups(Cgroups how) const;

    /// A TEST_CASE "attack: ..." of this binary as the sandbox, as that user.
    std::unique_ptr<Running> attack(const std::string& test_case, NetRaw net_raw, uid_t uid = 0) const;

    /// Where packets went that the far end had recorded when a datagram of the gateway's came through after them.
    std::string left_by_now() const;

    std::unique_ptr<Outside> outside;

private:
    explicit SharedGround(ToldApartBy how) : how_(how) {}
    void become_gateway() const;

    ToldApartBy how_;
    std::string cgroup_;  ///< the beginning of both directories; empty when a user tells the gateway apart
    UniqueFd gateways_cgroup_, sandboxs_cgroup_;  ///< what one joins by writing to it
    UniqueFd far_;
};

}  // namespace sallyport::test
