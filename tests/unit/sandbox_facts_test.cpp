// What the sandbox is planned from: mount table, socket list, id maps, reasons of a refusal.
#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "container/files.hpp"
#include "container/id_map.hpp"
#include "container/mount_table.hpp"
#include "container/namespace_help.hpp"
#include "container/unix_sockets.hpp"

using namespace sallyport::container;
using Paths = std::vector<std::string>;

namespace {

// As on an image-based system: /home is a bind mount of a directory that is visible below /sysroot as well.
const std::string kMountInfo =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "28 27 254:1 /root /sysroot rw - btrfs /dev/vdb rw\n"
    "29 27 254:1 /root/var/home /home rw shared:2 master:3 - btrfs /dev/vdb rw\n"
    "30 27 254:1 /root/var/home/ann/secrets/deep /mnt/with\\040space rw - btrfs /dev/vdb rw\n"
    "31 27 0:40 / /home/ann/tmp rw - tmpfs tmpfs rw\n"
    "nonsense\n";

}  // namespace

TEST_CASE("mount table: fields, escapes and optional fields") {
    const auto mounts = parse_mounts(kMountInfo);
    REQUIRE(mounts.size() == 6);
    CHECK(mounts[0].type == "proc");
    CHECK(mounts[3].root == "/root/var/home");
    CHECK(mounts[3].type == "btrfs");
    CHECK(mounts[4].point == "/mnt/with space");
    CHECK(parse_mounts("").empty());
}

TEST_CASE("mount table: every other name of a file, and what is mounted from below a directory") {
    const auto mounts = parse_mounts(kMountInfo);
    CHECK(aliases(mounts, "/home/ann/key") == Paths{"/sysroot/var/home/ann/key"});
    CHECK(aliases(mounts, "/sysroot/var/home/ann/key") == Paths{"/home/ann/key"});
    CHECK(aliases(mounts, "/home/ann/secrets") == Paths{"/mnt/with space", "/sysroot/var/home/ann/secrets"});
    CHECK(aliases(mounts, "/home/ann/secrets/deep/key") ==
          Paths{"/mnt/with space/key", "/sysroot/var/home/ann/secrets/deep/key"});
    CHECK(aliases(mounts, "/home/ann/secretsdeep") == Paths{"/sysroot/var/home/ann/secretsdeep"});
    CHECK(aliases(mounts, "/home/ann/tmp/key").empty());  // another file system
    CHECK(aliases(mounts, "/etc/key").empty());
    CHECK(aliases({}, "/etc/key").empty());
}

TEST_CASE("is_within: whole segments only") {
    CHECK(is_within("/run", "/run"));
    CHECK(is_within("/run/lock", "/run"));
    CHECK_FALSE(is_within("/runner", "/run"));
    CHECK_FALSE(is_within("/", "/run"));
    CHECK(is_within("/run", "/"));
}

TEST_CASE("unix sockets: paths once, neither abstract nor unnamed ones") {
    const auto paths = parse_unix_sockets(
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0000000012f4e8fa: 00000003 00000000 00000000 0001 03  1141\n"
        "00000000a11b5a76: 00000002 00000000 00010000 0001 01  1142 /tmp/tmux-1000/default\n"
        "00000000a11b5a77: 00000003 00000000 00000000 0001 03  1143 /tmp/tmux-1000/default\n"
        "00000000a11b5a78: 00000002 00000000 00010000 0001 01 114244 @/tmp/.X11-unix/X0\n"
        "00000000a11b5a79: 00000002 00000000 00010000 0005 01 1145 relative.sock\n"
        "00000000a11b5a80: 00000002 00000000 00010000 0002 01 1146 /home/u/with space/s");
    CHECK(paths == Paths{"/home/u/with space/s", "/tmp/tmux-1000/default", "relative.sock"});
    CHECK(parse_unix_sockets("").empty());
    CHECK(parse_unix_sockets("\n\n/path\n").empty());
}

TEST_CASE("id map: every id stands for itself") {
    CHECK(identity_map("         0          0 4294967295\n", 1000, true) == "0 0 4294967295\n");
    CHECK(identity_map("0 100000 65536\n70000 200000 10\n", 0, true) == "0 0 65536\n70000 70000 10\n");
    CHECK(identity_map("0 0 4294967295\n", 1000, false) == "1000 1000 1\n");
    CHECK(identity_map("", 1000, true) == "1000 1000 1\n");
}

TEST_CASE("refusal: the setting that is in the way is named, with what to type") {
    const auto says = [](const NamespaceSettings& settings, int error, const std::string& text) {
        return explain_refusal(error, settings).find(text) != std::string::npos;
    };
    CHECK(says({.unprivileged_clone = 0}, EPERM, "sudo sysctl -w kernel.unprivileged_userns_clone=1"));
    CHECK(
        says({.unprivileged_clone = 1, .max_namespaces = 0}, ENOSPC, "sudo sysctl -w user.max_user_namespaces=15000"));
    CHECK(says({.apparmor_restricts = 1}, EACCES, "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"));
    CHECK(says({.max_namespaces = 100, .system_calls_filtered = true}, EPERM, "--security-opt seccomp=unconfined"));
    CHECK(says({.max_namespaces = 100}, EACCES, "apparmor=unconfined"));
    CHECK(says({}, EPERM, "Operation not permitted. Run `sudo sallyport run ...`"));
    CHECK_FALSE(says({}, EPERM, "sysctl"));
}
