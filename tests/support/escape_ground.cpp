#include "tests/support/escape_ground.hpp"

#include <signal.h>

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace sallyport::test {
namespace {

namespace fs = std::filesystem;
constexpr uid_t kNobody = 65534;

fs::path temporary_directory() {
    std::string path = "/tmp/sallyport-escape-XXXXXX";
    if (!::mkdtemp(path.data())) throw std::runtime_error("mkdtemp");
    return path;
}

/// Copies of the programs where every user can execute them: the checkout may be in somebody's home.
class Programs {
public:
    Programs() : directory_(temporary_directory()) {
        fs::permissions(directory_, fs::perms(0755));
        fs::copy_file(SALLYPORT_PROGRAM, directory_ / "sallyport");
        fs::copy_file("/proc/self/exe", directory_ / "attack");
    }
    ~Programs() { fs::remove_all(directory_); }
    std::string path(const std::string& name) const { return directory_ / name; }

private:
    fs::path directory_;
};

std::string program(const std::string& name) {
    static const Programs programs;
    return programs.path(name);
}

}  // namespace

EscapeGround::EscapeGround(bool nobody, const std::string& policy)
    : outside(Outside::create()), nobody_(nobody), directory_(temporary_directory()) {
    std::ofstream(directory_ / "sallyport.toml") << policy;
    environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + directory_.string()};
    if (nobody && (::chown(directory_.c_str(), kNobody, kNobody) != 0 ||
                   ::chown((directory_ / "sallyport.toml").c_str(), kNobody, kNobody) != 0))
        throw std::runtime_error("chown");
}

EscapeGround::~EscapeGround() {
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
}

std::vector<std::string> EscapeGround::attack(const std::string& test_case) {
    return {program("attack"), "--no-skip", "--minimal", "--test-case=attack: " + test_case};
}

Launch EscapeGround::launch(std::vector<std::string> command, std::function<void()> before) const {
    const auto prepare = [before = std::move(before)] {
        ::signal(SIGPIPE, SIG_IGN);  // to an attack a refused connection is one outcome of many
        if (before) before();
    };
    return {std::move(command), environment, directory_, nobody_, prepare};
}

std::unique_ptr<Running> EscapeGround::without_sallyport(std::vector<std::string> command,
                                                         std::function<void()> before) const {
    return outside->start(launch(std::move(command), std::move(before)));
}

std::unique_ptr<Running> EscapeGround::under_sallyport(std::vector<std::string> command,
                                                       std::function<void()> before) const {
    std::vector<std::string> all = {program("sallyport"), "run", "--quiet", "--audit", "audit.jsonl", "--"};
    all.insert(all.end(), command.begin(), command.end());
    return outside->start(launch(std::move(all), std::move(before)));
}

std::string EscapeGround::audit() const {
    std::stringstream text;
    text << std::ifstream(directory_ / "audit.jsonl").rdbuf();
    return text.str();
}

}  // namespace sallyport::test
