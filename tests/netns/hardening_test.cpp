// The gateway itself: what it keeps once it serves, what can be done to it from inside, and by which sockets it can be
// reached.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "container/files.hpp"
#include "container/process_status.hpp"
#include "gateway/app/doctor/proc_net.hpp"
#include "tests/support/doorway_ground.hpp"
#include "tests/support/escape_ground.hpp"
#include "tests/support/guarded_run.hpp"
#include "tests/support/netns_fixture.hpp"
#include "tests/support/shared_ground.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

std::string process(pid_t pid) { return "/proc/" + std::to_string(pid); }

container::ProcessStatus status_of(pid_t pid) {
    return container::parse_process_status(container::read_file(process(pid) + "/status").value_or(""));
}

void check_locked_down(pid_t pid) {
    const auto status = status_of(pid);
    CHECK_FALSE(status.has_capability);
    CHECK_FALSE(status.may_gain);
    CHECK(status.filtered);
    const auto limits = container::read_file(process(pid) + "/limits").value_or("");
    CHECK(limits.find("Max core file size        0                    0 ") != limits.npos);
}

/// The gateway that this process can see, by its command line; 0 when there is none.
pid_t visible_gateway() {
    const std::string words("sallyport\0gateway\0", 18);
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const auto pid = std::atoi(entry.path().filename().c_str());
        if (pid > 0 && container::read_file(process(pid) + "/cmdline").value_or("").find(words) != words.npos)
            return pid;
    }
    return 0;
}

/// For most of these files the kernel asks who reads, not who opens.
bool can_read(const std::string& file) {
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    char byte = 0;
    return fd && (::read(fd.get(), &byte, 1) >= 0 || errno == EISDIR || errno == EIO || errno == EINVAL);
}

/// Everything by which one process looks into another or borrows from it; prints what worked.
void look_into(pid_t pid) {
    const auto say = [](const std::string& what, bool worked) {
        if (worked) std::printf("BAD %s\n", what.c_str());
    };
    for (const char* file : {"mem", "environ", "maps", "smaps", "auxv", "fd/0", "fd/3", "root/etc/passwd", "cwd/.",
                             "exe", "ns/net", "ns/mnt", "stack", "syscall", "personality", "pagemap", "mountinfo/.."})
        say(file, can_read(process(pid) + "/" + file));
    for (const int number : {0, 3, 4, 5, 6}) {
        char target[64];
        const auto link = process(pid) + "/fd/" + std::to_string(number);
        say("what a descriptor is", ::readlink(link.c_str(), target, sizeof target) >= 0);
    }
    say("writing its memory", ::open((process(pid) + "/mem").c_str(), O_WRONLY | O_CLOEXEC) >= 0);
    say("ptrace seize", ::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0);
    say("ptrace attach", ::ptrace(PTRACE_ATTACH, pid, nullptr, nullptr) == 0);
    char byte = 0;
    iovec here{&byte, 1}, there{&byte, 1};  // EFAULT: allowed, and nothing is there
    errno = 0;
    say("process_vm_readv", ::process_vm_readv(pid, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT);
    errno = 0;
    say("process_vm_writev", ::process_vm_writev(pid, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT);
    const auto handle = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    for (const int number : {0, 1, 2, 3, 4, 5, 6, 7, 8})
        say("pidfd_getfd", ::syscall(SYS_pidfd_getfd, handle, number, 0) >= 0);
    say("setns by pidfd", ::syscall(SYS_setns, handle, 0x40020000) == 0);  // CLONE_NEWNET | CLONE_NEWNS
    say("process_madvise", ::syscall(SYS_process_madvise, handle, &there, 1, 21, 0) >= 0);  // MADV_PAGEOUT
    say("kcmp", ::syscall(SYS_kcmp, ::getpid(), pid, 1, 0, 0) >= 0);
    say("its limits", ::getuid() != 0 && status_of(pid).user != ::getuid() &&
                          ::syscall(SYS_prlimit64, pid, RLIMIT_CORE, nullptr, nullptr) == 0);
}

/// Those of this network namespace, that somebody listens at.
std::set<std::string> listening() {
    std::set<std::string> all;
    for (const auto& socket : doctor::read_proc_net({"tcp", "tcp6"}))
        if (socket.remote.port == 0) all.insert("tcp " + socket.local.address.to_string());
    for (const auto& socket : doctor::read_proc_net({"udp", "udp6"}))
        all.insert("udp " + socket.local.address.to_string());
    std::istringstream lines(container::read_file("/proc/net/unix").value_or(""));
    for (std::string line; std::getline(lines, line);)
        if (const auto at = line.find(" @"); at != line.npos) all.insert("abstract " + line.substr(at + 1));
    return all;
}

}  // namespace

TEST_CASE("attack: sockets" * doctest::skip()) {
    for (const auto& socket : listening()) std::printf("%s\n", socket.c_str());
    std::printf("end\n");
    std::fflush(stdout);
    ::pause();
}

TEST_CASE("attack: gateway's process" * doctest::skip()) {
    const auto pid = visible_gateway();
    std::printf("gateway %s\n", pid > 0 ? "in sight" : "not in sight");
    if (pid > 0) look_into(pid);
    for (pid_t other = 1; other < 200; ++other)  // in a pid namespace of its own: everybody there is
        if (pid == 0 && other != ::getpid() && ::kill(other, 0) == 0 && other != ::getppid()) look_into(other);
    if (pid == 0) look_into(1);
    std::printf("end\n");
}

TEST_CASE("gateway: under sallyport run it serves without privileges, and root's as another user") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        const auto gateway = ground.under_sallyport(EscapeGround::attack("sockets"));
        REQUIRE(line_with(*gateway, "end") == "end");
        check_locked_down(gateway->pid());
        const auto user = status_of(gateway->pid()).user;
        if (::geteuid() == 0) CHECK(user == (nobody ? 65534u : 65532u));
        // Its end is the sandbox's, though it may not signal it any more.
        kill_hard(*gateway);
    }
}

TEST_CASE("gateway: sealed, what it can be reached by is on lo, and no socket has an abstract name") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        const auto before =
            ground.outside->open([] { return UniqueFd(::open("/proc/net/unix", O_RDONLY | O_CLOEXEC)); });
        const auto gateway = ground.under_sallyport(EscapeGround::attack("sockets"));
        std::set<std::string> inside;
        for (auto line = gateway->read_line(); line != "end" && !line.empty(); line = gateway->read_line())
            inside.insert(line);
        const std::set<std::string> allowed{"tcp 127.0.0.1", "tcp ::1", "udp 127.0.0.1", "udp ::1"};
        CHECK(inside.size() >= 2);
        for (const auto& socket : inside) CHECK_MESSAGE(allowed.contains(socket), socket);
        // Outside it listens nowhere.
        std::string unix_sockets(1 << 20, '\0');
        const auto size = ::pread(before.get(), unix_sockets.data(), unix_sockets.size(), 0);
        unix_sockets.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        CHECK(unix_sockets.find("Path") != unix_sockets.npos);
        CHECK(unix_sockets.find(" @") == unix_sockets.npos);
    }
}

TEST_CASE(
    "gateway: shared, what it can be reached by is on lo; it is administered at a path that is its user's alone") {
    if (::geteuid() != 0) return skip("only root has a second user to run the gateway as");
    const DoorwayGround ground;
    if (!ground.outside) return;
    const auto gateway = ground.start({"gateway", "--policy", "policy.toml", "--state", "state", "--guard", "--exempt",
                                       "user", "--user", "nobody", "--admin", "admin/socket"});
    REQUIRE(line_with(*gateway, "serving") != "");
    check_locked_down(gateway->pid());
    const auto seen = ground.outside->start({EscapeGround::attack("sockets"), {}});
    const std::set<std::string> known{"tcp 127.0.0.1",
                                      "tcp ::1",
                                      "udp 127.0.0.1",
                                      "udp ::1",
                                      std::string("tcp ") + Outside::kAddress,
                                      std::string("udp ") + Outside::kAddress};
    for (auto line = seen->read_line(); line != "end" && !line.empty(); line = seen->read_line())
        CHECK_MESSAGE(known.contains(line), line);
    struct stat info {};
    REQUIRE(::stat((ground.directory() / "admin/socket").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    CHECK(info.st_uid == 65534);
    const auto status = ground.start({"status", "--admin", "admin/socket"})->finish();
    CHECK(status.find("gateway:  user 65534, no capability, no new privileges, system calls filtered") != status.npos);
}

TEST_CASE("gateway: in the sandbox of sallyport run nobody gets at its process, nor at the first of the sandbox") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        const auto output = ground.under_sallyport(EscapeGround::attack("gateway's process"))->finish();
        INFO(output);
        CHECK(output.find("gateway not in sight\n") != output.npos);
        CHECK(output.find("BAD") == output.npos);
        CHECK(output.find("end\n") != output.npos);
    }
}

TEST_CASE("gateway: shared, an app that sees its process can look at nothing of it, be it root or the gateway's user") {
    const auto ground = SharedGround::create(ToldApartBy::user);
    if (!ground) return;
    std::string folder = "/tmp/sallyport-hardening-XXXXXX";
    REQUIRE(::mkdtemp(folder.data()));
    ::chmod(folder.c_str(), 0755);
    std::ofstream(folder + "/policy.toml") << "[[allow]]\nhost = \"good.example\"\n";
    const auto user = std::to_string(SharedGround::kGatewayUser);
    const auto gateway = ground->outside->start(
        {{SALLYPORT_PROGRAM, "gateway", "--policy", folder + "/policy.toml", "--state", folder + "/state", "--guard",
          "--exempt", "user", "--user", user, "--admin", folder + "/admin/socket"},
         {}});
    REQUIRE(line_with(*gateway, "serving") != "");
    for (const uid_t app : {uid_t{0}, uid_t{1000}, SharedGround::kGatewayUser}) {
        CAPTURE(app);
        const auto output = ground->attack("gateway's process", NetRaw::dropped, app)->finish();
        INFO(output);
        CHECK(output.find("gateway in sight\n") != output.npos);
        CHECK(output.find("BAD") == output.npos);
        CHECK(output.find("end\n") != output.npos);
    }
    CHECK(::kill(gateway->pid(), 0) == 0);
    std::filesystem::remove_all(folder);
}
