#pragma once
// What a COMMAND that is root must not reach by file permissions alone: the kernel's own files and the raw devices.

namespace sallyport::container {

/// Call after prepare_mounts() when COMMAND's uid is 0. As container engines do it: /proc/sys and its like read-only
/// (core_pattern starts programs outside), every sysfs and cgroup mount read-only (release_agent, uevent_helper), and
/// where /dev is the machine's own (devtmpfs), a small /dev instead (a disk holds what is hidden). Throws StartupError.
void restrict_root_view();

}  // namespace sallyport::container
