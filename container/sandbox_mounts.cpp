#include "container/sandbox_mounts.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <set>

#include "container/files.hpp"
#include "container/mount_table.hpp"
#include "container/trust_layout.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

namespace fs = std::filesystem;

// RDMA adapters and the host's end of virtual machine sockets: neither asks which network namespace a process is in.
constexpr const char* kOutsideDevices[] = {"/dev/infiniband", "/dev/vhost-vsock"};
constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

std::string in_guard_directory(const std::string& name) { return std::string(kGuardDirectory) + "/" + name; }

void mount_tmpfs(const std::string& point, unsigned long flags, const char* options) {
    if (::mount("tmpfs", point.c_str(), "tmpfs", flags, options) != 0)
        throw system_error("cannot mount a tmpfs on " + point, errno);
}

// ---- /proc

void mount_own_proc(const std::vector<Mount>& before) {
    if (::mount("proc", "/proc", "proc", kPlain, nullptr) == 0) return;
    const int error = errno;
    bool masked = false;
    for (const auto& mount : before) masked = masked || (mount.point != "/proc" && is_within(mount.point, "/proc"));
    if (error != EPERM || !masked) throw system_error("cannot mount the sandbox's own /proc", error);
    throw StartupError(
        "cannot mount the sandbox's own /proc: this container's /proc is masked. Start the container with "
        "--security-opt systempaths=unconfined (Podman: --security-opt unmask=ALL), or use the compose layout");
}

// ---- /run

/// A path below /run that COMMAND still needs, and what is to be there.
struct Kept {
    std::string path;
    std::string content;
    bool link = false;
};

/// The name below /run by which resolv.conf reaches its text, however many links away.
std::optional<Kept> kept_resolv_conf(const std::string& run) {
    std::error_code error;
    fs::path path = "/etc/resolv.conf";
    for (int links = 0; links < 8; ++links) {
        path = fs::canonical(path.parent_path(), error) / path.filename();
        if (error) return std::nullopt;
        if (is_within(path.string(), run)) break;
        const auto target = fs::read_symlink(path, error);
        if (error) return std::nullopt;
        path = (path.parent_path() / target).lexically_normal();
    }
    const auto text = is_within(path.string(), run) ? read_file(path) : std::nullopt;
    return text ? std::optional<Kept>({path, *text}) : std::nullopt;
}

/// Links directly in /run are only names (NixOS has its PATH there); what they name is looked up in the new view.
std::vector<Kept> kept_links(const std::string& run) {
    std::vector<Kept> links;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(run, error))
        if (entry.is_symlink(error)) links.push_back({entry.path(), fs::read_symlink(entry.path(), error), true});
    return links;
}

void make_directory(const std::string& path, mode_t mode, uid_t uid, gid_t gid) {
    if (::mkdir(path.c_str(), mode) != 0 || ::chown(path.c_str(), uid, gid) != 0 || ::chmod(path.c_str(), mode) != 0)
        throw system_error("cannot create " + path, errno);
}

void replace_run(const SandboxView& view) {
    std::error_code error;
    const auto run = fs::canonical("/run", error).string();
    if (error) throw StartupError("this system has no /run directory, which the sandbox needs");
    const auto user = run + "/user/" + std::to_string(view.uid);
    const bool has_user = fs::is_directory(user, error), has_lock = fs::is_directory(run + "/lock", error);
    auto kept = kept_links(run);
    if (auto resolv_conf = kept_resolv_conf(run)) kept.push_back(std::move(*resolv_conf));

    mount_tmpfs(run, MS_NOSUID | MS_NODEV, "mode=0755,size=256m,nr_inodes=65536");
    for (const auto& entry : kept) {
        fs::create_directories(fs::path(entry.path).parent_path());
        if (!entry.link) write_file(entry.path, entry.content, 0644);
        else if (::symlink(entry.content.c_str(), entry.path.c_str()) != 0)
            throw system_error("cannot create " + entry.path, errno);
    }
    if (has_lock) make_directory(run + "/lock", 01777, ::geteuid(), ::getegid());
    if (has_user) {
        fs::create_directories(run + "/user");
        make_directory(user, 0700, view.uid, view.gid);
    }
    make_directory(kGuardDirectory, 0755, ::geteuid(), ::getegid());
    mount_tmpfs(kGuardDirectory, kPlain, "mode=0755,size=64m");
    // Where it is not a link to /run.
    if (const auto old = fs::canonical("/var/run", error); !error && old != run)
        if (::mount(run.c_str(), old.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
            throw system_error("cannot cover /var/run", errno);
}

// ---- masks

/// Covers one path. What vanished meanwhile needs no cover; what we may not reach, COMMAND may not either.
void mask(const std::string& path, const std::string& source) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || S_ISLNK(info.st_mode)) return;
    const int result = S_ISDIR(info.st_mode)
                           ? ::mount("tmpfs", path.c_str(), "tmpfs", kPlain | MS_RDONLY, "mode=0555,size=4k")
                           : ::mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr);
    if (result != 0 && errno != ENOENT) throw system_error("cannot hide " + path + " from the sandbox", errno);
}

bool is_same_file(const std::string& a, const std::string& b) {
    struct stat first {};
    struct stat second {};
    return ::lstat(a.c_str(), &first) == 0 && ::lstat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/// Covers the path and its other names. `path` must be canonical.
void mask_everywhere(const std::vector<Mount>& mounts, const std::string& path, const std::string& source) {
    std::vector<std::string> names{path};
    for (const auto& alias : aliases(mounts, path)) {
        const bool part_of_it = fs::is_directory(path) && !is_same_file(alias, path);
        if (part_of_it || is_same_file(alias, path)) names.push_back(alias);
    }
    for (const auto& name : names) mask(name, source);
}

/// "" when it does not exist.
std::string canonical(const std::string& path) {
    std::error_code error;
    const auto found = fs::canonical(path, error).string();
    if (error == std::errc::no_such_file_or_directory) return {};
    if (error) throw StartupError("cannot hide " + path + " from the sandbox: " + error.message());
    return found;
}

bool can_move(const fs::path& directory, uid_t uid) {
    struct stat parent {};
    return ::stat(directory.parent_path().c_str(), &parent) == 0 &&
           (uid == 0 || parent.st_uid == uid || (parent.st_mode & (S_IWGRP | S_IWOTH)) != 0);
}

/// A cover moves along with the directory that it is in, and is gone when the sandbox is: COMMAND could move a
/// directory away, leave one of its own in that place for the next to look there, and have the real one uncovered in
/// the next run. A mount point cannot be moved, so the directories on the way become mount points of themselves.
void pin_directories(const std::vector<Mount>& mounts, const std::vector<std::string>& paths, uid_t uid) {
    std::set<fs::path> directories;  // in this order outer ones come first
    for (const auto& path : paths) {
        auto names = aliases(mounts, path);
        names.push_back(path);
        for (const auto& name : names)
            for (auto up = fs::path(name).parent_path(); up.has_relative_path(); up = up.parent_path())
                if (can_move(up, uid)) directories.insert(up);
    }
    for (const auto& mount : mounts) directories.erase(mount.point);
    for (const auto& directory : directories)
        if (::mount(directory.c_str(), directory.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0 && errno != ENOENT)
            throw system_error("cannot hold " + directory.string() + " in its place", errno);
}

void hide(const std::vector<Mount>& mounts, const SandboxView& view) {
    std::vector<std::string> paths;
    for (const auto& hidden : view.hidden) paths.push_back(canonical(hidden.path));
    pin_directories(mounts, paths, view.uid);
    for (std::size_t i = 0; i < paths.size(); ++i) {
        if (paths[i].empty()) continue;
        const auto source = in_guard_directory("shown-" + std::to_string(i));
        write_file(source, view.hidden[i].shown, 0444);
        mask_everywhere(mounts, paths[i], source);
    }
}

}  // namespace

void prepare_mounts(const SandboxView& view) {
    const auto mounts = parse_mounts(read_file("/proc/self/mountinfo").value_or(""));
    if (mounts.empty()) throw StartupError("cannot read /proc/self/mountinfo");
    mount_own_proc(mounts);
    replace_run(view);

    const auto empty = in_guard_directory("empty");
    write_file(empty, "", 0444);
    // Another mount of proc, in a chroot for instance, shows the processes outside.
    for (const auto& mount : mounts)
        if (mount.type == "proc" && !is_within(mount.point, "/proc")) mask(mount.point, empty);
    for (const auto* device : kOutsideDevices) mask(device, empty);
    // A socket that nobody listens on: "connection refused", as after the end of the program behind it.
    const auto closed = in_guard_directory("closed");
    if (::mknod(closed.c_str(), S_IFSOCK | 0666, 0) != 0 || ::chmod(closed.c_str(), 0666) != 0)
        throw system_error("cannot create " + closed, errno);
    for (const auto& socket : view.sockets)
        if (struct stat info{}; ::lstat(socket.c_str(), &info) == 0 && S_ISSOCK(info.st_mode))
            mask_everywhere(mounts, fs::canonical(socket).string(), closed);
    hide(mounts, view);
}

void finish_mounts(const std::string& directory) {
    // The file system itself, so that every bind mount of its files is read-only at once.
    if (::mount(nullptr, kGuardDirectory, nullptr, MS_REMOUNT | MS_RDONLY | kPlain, "mode=0755") != 0)
        throw system_error(std::string("cannot make ") + kGuardDirectory + " read-only", errno);
    if (::chdir(directory.c_str()) != 0)
        throw StartupError("the current directory " + directory +
                           " is hidden from the sandbox; start from another one");
}

}  // namespace sallyport::container
