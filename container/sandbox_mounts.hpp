#pragma once
// The sandbox's view of the file system: the machine's, without the ways out of it.

#include <sys/types.h>

#include <string>
#include <vector>

namespace sallyport::container {

/// A file or directory that the sandbox must not see. A directory becomes empty, a file gets this content.
/// COMMAND can neither change nor move it. A path that does not exist hides nothing; relative paths count from the
/// current directory.
struct HiddenPath {
    std::string path;
    std::string shown;
};

struct SandboxView {
    uid_t uid = 0;  ///< COMMAND's: owner of /run/user/UID
    gid_t gid = 0;
    std::vector<HiddenPath> hidden;
    std::vector<std::string> sockets;  ///< outside_unix_sockets(), taken outside
};

/// Call as the first process of a new mount, pid and network namespace, with CAP_SYS_ADMIN over them, its
/// mounts private (nothing may propagate to the machine). Afterwards: /proc shows the sandbox's processes only; /run is
/// empty but for what resolv.conf needs, symbolic links, /run/lock and /run/user/UID; every listed socket, every hidden
/// path and the device files that are no part of a network namespace are covered, under each name that a bind mount
/// gives them; kGuardDirectory is there and writable. Throws StartupError. A nested user namespace cannot lift any of
/// this: its copies of these mounts are locked (mount_namespaces(7)).
void prepare_mounts(const SandboxView& view);

/// The last step, once kGuardDirectory is filled: makes it read-only and enters `directory` anew, since a current
/// directory from before would still reach what is covered now. Throws StartupError.
void finish_mounts(const std::string& directory);

}  // namespace sallyport::container
