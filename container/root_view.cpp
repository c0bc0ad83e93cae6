#include "container/root_view.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "container/files.hpp"
#include "container/mount_table.hpp"
#include "container/trust_layout.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

constexpr std::array kKernelFiles = {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq",  "/proc/bus",
                                     "/proc/fs",  "/proc/acpi",          "/proc/scsi", "/proc/mtrr"};
constexpr std::array kKernelFileSystems = {"sysfs",   "cgroup",   "cgroup2",  "securityfs", "debugfs",
                                           "tracefs", "configfs", "efivarfs", "pstore",     "bpf"};
constexpr std::array kDevices = {"null", "zero", "full", "random", "urandom", "tty", "ptmx"};
constexpr std::array kDeviceDirectories = {"pts", "shm", "mqueue", "hugepages"};
constexpr std::array<std::array<const char*, 2>, 4> kDeviceLinks = {{{"/proc/self/fd", "fd"},
                                                                     {"/proc/self/fd/0", "stdin"},
                                                                     {"/proc/self/fd/1", "stdout"},
                                                                     {"/proc/self/fd/2", "stderr"}}};

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

/// ENOENT and EINVAL: covered by one of our own mounts by now.
void make_read_only(const std::string& point) {
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    if (::mount_setattr(AT_FDCWD, point.c_str(), AT_RECURSIVE, &attributes, sizeof attributes) != 0 &&
        errno != ENOENT && errno != EINVAL)
        throw system_error("cannot make " + point + " read-only (needs Linux 5.12)", errno);
}

void bind(const std::string& from, const std::string& to) {
    if (::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
        throw system_error("cannot bind " + from + " to " + to, errno);
}

/// Made anew, not bound: /dev/ptmx looks for the directory pts beside itself, which a bind mount does not have.
void make_device(const std::string& from, const std::string& to) {
    struct stat info {};
    if (::stat(from.c_str(), &info) != 0) return;
    if (::mknod(to.c_str(), info.st_mode, info.st_rdev) == 0 && ::chmod(to.c_str(), info.st_mode & 07777) == 0) return;
    if (errno == EPERM)  // root of a user namespace
        throw StartupError(
            "root without CAP_SYS_ADMIN cannot be kept from this machine's raw devices; run sallyport as an ordinary "
            "user "
            "or with all capabilities");
    throw system_error("cannot create the sandbox's " + from, errno);
}

void replace_dev() {
    const std::string dev = std::string(kGuardDirectory) + "/dev";
    if (::mkdir(dev.c_str(), 0755) != 0 ||
        ::mount("tmpfs", dev.c_str(), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=1m") != 0)
        throw system_error("cannot prepare the sandbox's /dev", errno);
    for (const std::string name : kDevices) make_device("/dev/" + name, dev + "/" + name);
    for (const std::string name : kDeviceDirectories) {
        if (!exists("/dev/" + name)) continue;
        ::mkdir((dev + "/" + name).c_str(), 0755);
        bind("/dev/" + name, dev + "/" + name);
    }
    for (const auto& [target, name] : kDeviceLinks)
        if (::symlink(target, (dev + "/" + name).c_str()) != 0)
            throw system_error("cannot prepare the sandbox's /dev", errno);
    if (::mount(dev.c_str(), "/dev", nullptr, MS_MOVE, nullptr) != 0) throw system_error("cannot replace /dev", errno);
}

}  // namespace

void restrict_root_view() {
    const auto mounts = parse_mounts(read_file("/proc/self/mountinfo").value_or(""));
    for (const auto* path : kKernelFiles) {
        if (!exists(path)) continue;
        bind(path, path);
        make_read_only(path);
    }
    for (const auto& mount : mounts)
        if (std::find(kKernelFileSystems.begin(), kKernelFileSystems.end(), mount.type) != kKernelFileSystems.end())
            make_read_only(mount.point);
    if (std::any_of(mounts.begin(), mounts.end(),
                    [](const Mount& mount) { return mount.point == "/dev" && mount.type == "devtmpfs"; }))
        replace_dev();
}

}  // namespace sallyport::container
