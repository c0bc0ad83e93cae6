#include "gateway/app/policy_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>

#include "gateway/base/startup_error.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::app {
namespace {

constexpr std::size_t kMaxPolicyBytes = 4 * 1024 * 1024;
constexpr std::string_view kDefaultFile = "sallyport.toml";

std::string read_all(int file, const std::string& name) {
    std::string text;
    char block[16 * 1024];
    for (;;) {
        const ssize_t n = ::read(file, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw system_error(name, errno);
        if (n == 0) return text;
        text.append(block, static_cast<std::size_t>(n));
        if (text.size() > kMaxPolicyBytes) throw StartupError(name + ": larger than 4 MiB, which no policy is");
    }
}

std::string read_policy(const std::string& path, policy::Mode mode) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const bool no_default_file = !file && errno == ENOENT && path == kDefaultFile;
    if (no_default_file && mode == policy::Mode::audit) return {};
    if (no_default_file)
        throw StartupError(
            "there is no sallyport.toml here. It says what may leave the sandbox; to begin with, for example:\n"
            "  echo 'use = [\"claude-code\", \"npm-install\", \"github-read\"]' > sallyport.toml\n"
            "`sallyport presets` lists what ships with it; --policy FILE names another file");
    if (!file) throw system_error(path, errno);
    return read_all(file.get(), path);
}

std::shared_ptr<const policy::Policy> parse(const std::string& text, const std::string& name, policy::Mode mode) {
    auto loaded = policy::load(text, name, mode);
    if (auto* policy = std::get_if<std::shared_ptr<const policy::Policy>>(&loaded)) return std::move(*policy);
    std::string all;
    for (const auto& mistake : std::get<std::vector<policy::Mistake>>(loaded)) {
        if (!all.empty()) all += '\n';
        all += mistake.to_string();
    }
    throw StartupError(all);
}

}  // namespace

std::shared_ptr<const policy::Policy> load_policy_file(const std::string& path, policy::Mode mode) {
    return parse(read_policy(path, mode), path, mode);
}

std::shared_ptr<const policy::Policy> load_policy_file(const std::string& name, int file, policy::Mode mode) {
    ::lseek(file, 0, SEEK_SET);
    return parse(read_all(file, name), name, mode);
}

}  // namespace sallyport::app
