#pragma once
// What everybody can see of a process's privileges, in /proc/PID/status (proc_pid_status(5)). Pure.

#include <sys/types.h>

#include <string>
#include <string_view>

namespace sallyport::container {

struct ProcessStatus {
    uid_t user = 0;
    bool has_capability = true;  ///< in any of the sets; in the bounding set only where it could be gained
    bool may_gain = true;        ///< no_new_privs is not set
    bool filtered = false;       ///< by seccomp
    bool locks_memory = false;
};

/// What is missing from `text` counts as the worse of the two.
ProcessStatus parse_process_status(std::string_view text);

/// "user 65532, no capability, no new privileges, system calls filtered, secrets in locked memory", with a "NOT" or
/// "WITH" where it is not so.
std::string to_string(const ProcessStatus&);

}  // namespace sallyport::container
