#pragma once
// `sallyport run -- COMMAND`: a sandbox of namespaces in which COMMAND runs, seen from the gateway.
//
// The sandbox has a network namespace that is sealed (container/seal.hpp), and one of pids, of mounts and of IPC; an
// ordinary user gets them through a user namespace in which every id stands for itself, so that COMMAND sees the same
// user and the same files as outside. Root (CAP_SYS_ADMIN) needs none; COMMAND is then the user who called sudo.
// With a controlling terminal COMMAND stays in our session and process group, so that the terminal's signals reach it
// as they would without us; without one it gets a session of its own.

#include <string>
#include <vector>

#include "container/sandbox_mounts.hpp"
#include "container/seal.hpp"
#include "container/terminal.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::container {

/// Holds no secret: the sandbox's first process starts as a copy of our memory.
struct GuardedSpec {
    std::vector<std::string> command;      ///< looked up in the environment's PATH, as a shell does
    std::vector<std::string> environment;  ///< "KEY=VALUE", all that COMMAND may see; the variables that make it trust
                                           ///< the CA are set on top, and under sudo those of the invoking user
    std::string ca_certificate;            ///< PEM
    std::vector<HiddenPath> hidden;        ///< the CA's directory, files with secrets
};

class GuardedCommand {
public:
    /// Returns when the sandbox is sealed and set up and COMMAND has not started. Throws StartupError.
    /// Call it first of all: in a process with one thread (which must live as long as the sandbox), before secrets are
    /// read, before signals are blocked, ignored or handled and before limits are raised: COMMAND inherits that state.
    static GuardedCommand start(const GuardedSpec& spec);

    GuardedCommand(GuardedCommand&& other) noexcept;
    GuardedCommand& operator=(GuardedCommand&&) = delete;
    /// Kills whatever still runs in the sandbox.
    ~GuardedCommand();

    /// Once.
    GatewaySockets take_sockets() { return std::move(sockets_); }
    /// COMMAND will not have this variable: what is known only now that secrets were read. Before release().
    void withhold(const std::string& variable);
    /// Starts COMMAND.
    void release();
    /// Readable when COMMAND has ended, and then for good. Do not read from it.
    int wait_fd() const { return channel_.get(); }
    /// To COMMAND, not to its children. A signal of the terminal (si_code SI_KERNEL) has reached it already.
    void forward_signal(int number);
    /// Waits for COMMAND's end, and for the end of all that it left running; the terminal is ours again afterwards.
    /// The wait status as waitpid(2) gives it; that of SIGKILL when the sandbox was killed from outside. Throws
    /// StartupError when COMMAND could not be started for want of resources. Call once.
    int finish();

private:
    GuardedCommand(UniqueFd process, UniqueFd channel, Terminal terminal);
    void receive_setup();
    void end_sandbox();

    UniqueFd process_;  ///< pidfd of the init process
    UniqueFd channel_;
    Terminal terminal_;
    GatewaySockets sockets_;
};

}  // namespace sallyport::container
