#pragma once
// The sandbox's first process (PID 1 in its namespace): sets everything up, starts COMMAND, waits for it.

#include <signal.h>

#include <string>
#include <vector>

#include "container/account.hpp"
#include "container/sandbox_mounts.hpp"
#include "container/trust_install.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::container {

struct InitPlan {
    std::vector<std::string> command;      ///< not empty
    std::vector<std::string> environment;  ///< "KEY=VALUE", complete
    std::string directory;                 ///< current directory of COMMAND
    TrustRequest trust;
    Account account;
    SandboxView view;
    bool user_namespace = false;  ///< ids are mapped by the gateway on request
    bool own_session = false;     ///< no terminal to share: kill(0, ...) then stays within the sandbox
};

/// Runs in the process that clone(2) made, as a copy of the gateway's memory; never returns, throws nothing. Every
/// failure until `ready` goes over `channel` as NoteKind::failed. When the gateway's end closes, the sandbox ends.
[[noreturn]] void run_init(InitPlan plan, UniqueFd channel);

}  // namespace sallyport::container
