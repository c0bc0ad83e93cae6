#include "gateway/app/doorway_command.hpp"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "container/doorway_client.hpp"
#include "container/isolation.hpp"
#include "container/lockdown.hpp"
#include "container/seal.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::app {
namespace {

/// Blocked and read, since nothing of the kernel's ends a container's first process: the default action is none there.
UniqueFd open_stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) throw system_error("sigprocmask", errno);
    UniqueFd fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!fd) throw system_error("signalfd", errno);
    return fd;
}

container::GatewaySockets seal() {
    if (!container::has_capability(CAP_NET_ADMIN))
        throw StartupError(
            "the doorway needs the capability NET_ADMIN to seal its network namespace: give its container "
            "cap_add: [NET_ADMIN], network_mode: none and user 0");
    return container::seal_namespace();
}

}  // namespace

int doorway(const std::string& socket_path) {
    const auto stop = open_stop_signals();
    auto sockets = seal();
    auto listener = container::listen_as_doorway(socket_path);
    container::give_up_privileges({});
    container::lock_down();
    container::Doorway served(std::move(listener), std::move(sockets));
    fmt::print(stderr, "sallyport: this namespace is sealed; waiting for a gateway at {}\n", socket_path);
    served.serve(stop.get());
    return 0;
}

int doorway_health(const std::string& socket_path) {
    const auto answer = container::ask_doorway(socket_path, container::DoorwayRequest::health);
    const auto* state = !answer                                     ? "no doorway answers"
                        : *answer == container::DoorwayAnswer::busy ? "a gateway serves"
                                                                    : "waiting for a gateway";
    fmt::print("{}: {}\n", socket_path, state);
    return answer ? 0 : 1;
}

}  // namespace sallyport::app
