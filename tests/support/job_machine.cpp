#include "tests/support/job_machine.hpp"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "gateway/base/startup_error.hpp"
#include "tests/support/netns_fixture.hpp"

namespace sallyport::test {
namespace {

const std::string kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What is above is ours alone: these mounts are in the outside's namespace.
constexpr const char* kPrepare = R"sh(set -eu
mount -t tmpfs tmpfs cover
for place in /etc /var/lib /usr/local/share; do
  mkdir -p cover/$place.new cover/$place.work
  mount -t overlay -o "lowerdir=$place,upperdir=$PWD/cover/$place.new,workdir=$PWD/cover/$place.work" overlay $place
done
mount -t tmpfs tmpfs /run
echo 'nameserver 203.0.113.53' >/etc/resolv.conf
echo "127.0.0.1 localhost $(hostname)" >/etc/hosts
cat origin.pem >>/etc/ssl/certs/ca-certificates.crt
useradd --no-create-home --shell /bin/bash runner
echo 'runner ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/runner
chmod 0440 /etc/sudoers.d/runner
mkdir workspace
touch environment summary
chown runner workspace environment summary
)sh";

}  // namespace

std::unique_ptr<JobMachine> JobMachine::create() {
    if (::geteuid() != 0 || !has_program("sudo")) {
        skip("a job's machine has several users and sudo: it takes root, and sudo");
        return nullptr;
    }
    auto outside = Outside::create();
    if (!outside) return nullptr;
    return std::unique_ptr<JobMachine>(new JobMachine(std::move(outside)));
}

JobMachine::JobMachine(std::unique_ptr<Outside> network) : outside(std::move(network)) {
    namespace fs = std::filesystem;
    const auto& folder = directory_.path();
    fs::permissions(folder, fs::perms(0755));
    start_origin();
    std::ofstream(folder / "origin.pem") << origin->ca_pem();
    fs::create_directory(folder / "cover");
    // Copies: the checkout may be in somebody's home.
    fs::copy_file(SALLYPORT_PROGRAM, folder / "sallyport");
    fs::create_directory(folder / "action");
    for (const auto* part : {"action.yml", "scripts", "tests/clients/run_action.py"})
        fs::copy(fs::path(SALLYPORT_SOURCE_DIR) / part, folder / "action" / fs::path(part).filename(),
                 fs::copy_options::recursive);
    outside->start({{"/bin/sh", "-c", kPrepare}, {kPath}, folder})->finish();
}

JobMachine::~JobMachine() {
    try {
        outside->start({{"/bin/sh", "-c", "kill -KILL $(cat /var/lib/sallyport-job/pid)"}, {kPath}})->read_all();
    } catch (const std::exception&) {  // it could not be asked
    }
}

/// At the far end: a process that is started there stays there.
void JobMachine::start_origin() {
    const UniqueFd here(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    const auto name_server = outside->take_name_server();
    const UniqueFd far(::ioctl(name_server.get(), SIOCGSKNS));
    if (!here || !far || ::setns(far.get(), CLONE_NEWNET) != 0) throw system_error("the far end", errno);
    try {
        origin = std::make_unique<StandIn>(kOrigin);
    } catch (...) {
        ::setns(here.get(), CLONE_NEWNET);
        throw;
    }
    if (::setns(here.get(), CLONE_NEWNET) != 0) throw system_error("back from the far end", errno);
}

Step JobMachine::as_runner(std::vector<std::string> command) const {
    const auto& folder = directory_.path();
    std::ofstream(folder / "summary") << "";
    Launch launch;
    launch.command = {"/bin/bash",
                      "-c",
                      "status=0; \"$@\" || status=$?; echo \"exit $status\"",
                      "-",
                      "setpriv",
                      "--reuid=runner",
                      "--regid=runner",
                      "--init-groups"};
    launch.command.insert(launch.command.end(), command.begin(), command.end());
    launch.environment = {kPath, "HOME=" + folder.string(), "RUNNER_TRACKING_ID=github_1",
                          "GITHUB_STEP_SUMMARY=" + (folder / "summary").string(),
                          "GITHUB_ENV=" + (folder / "environment").string()};
    std::ifstream environment(folder / "environment");
    for (std::string line; std::getline(environment, line);) launch.environment.push_back(line);
    launch.directory = folder / "workspace";
    const auto text = outside->start(launch)->finish();
    const auto end = text.rfind("exit ");
    return {std::stoi(text.substr(end + 5)), text.substr(0, end)};
}

Step JobMachine::use(const std::vector<std::string>& inputs) const {
    const auto action = (directory_.path() / "action").string();
    std::vector<std::string> command{"python3", action + "/run_action.py", action, ".",
                                     "binary=" + (directory_.path() / "sallyport").string()};
    command.insert(command.end(), inputs.begin(), inputs.end());
    return as_runner(command);
}

Step JobMachine::run(const std::string& script) const { return as_runner({"bash", "-eo", "pipefail", "-c", script}); }

void JobMachine::write_policy(const std::string& text) const {
    std::ofstream(directory_.path() / "workspace" / "sallyport.toml") << text;
}

std::string JobMachine::read(const std::string& name) const {
    std::ostringstream out;
    out << std::ifstream(directory_.path() / "workspace" / name).rdbuf();
    return out.str();
}

}  // namespace sallyport::test
