#pragma once
// What the doctor's probes saw, before anybody says what it means.

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "container/process_status.hpp"

namespace sallyport::doctor {

/// What became of something that was sent to an address where nobody is.
enum class Reach {
    no_socket,  ///< the kernel gives this process no socket of that kind
    no_route,   ///< nothing leads there
    refused,    ///< refused at once, on this side
    gateway,    ///< ended in a socket of this network namespace, or was answered as only the gateway answers
    silence,    ///< accepted for sending, and no answer came
    foreign,    ///< answered by something that is not the gateway
};

struct Attempt {
    std::string what;  ///< as the report names it: "UDP", "DNS to 10.0.0.2"
    Reach reach = Reach::no_socket;
};

inline constexpr const char* kFrames = "Ethernet frames";

/// A gateway whose process this process can see.
struct VisibleGateway {
    pid_t pid = 0;
    bool may_signal = false;
    bool may_read = false;  ///< its memory, as we are or as its user
    container::ProcessStatus status = {};
};

struct Observations {
    std::vector<std::string> uplinks;  ///< interfaces other than `lo` that are up
    std::vector<Attempt> attempts;

    bool is_root = false;
    bool may_set_mark = false;
    bool may_open_xdp = false;
    bool may_change_rules = false;  ///< nf_tables answers us, so it would obey us
    bool may_mount = false;
    bool may_change_user = false;
    bool may_use_sudo = false;                  ///< root without a password
    std::optional<uid_t> exempt_user;           ///< as this user a packet left that is refused otherwise
    std::vector<std::string> open_cgroups;      ///< directories whose membership we can change, or could mount
    std::vector<std::string> other_namespaces;  ///< network namespaces that we could enter, as "/proc/PID"
    std::vector<std::string> engines;           ///< sockets of container engines that accept us
    std::optional<VisibleGateway> gateway;
    bool has_landlock = false;  ///< this kernel has it, as far as this process may ask
};

}  // namespace sallyport::doctor
