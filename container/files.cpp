#include "container/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "gateway/base/startup_error.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::container {

std::optional<std::string> read_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) return std::nullopt;
    std::string content;
    std::array<char, 16384> block;
    while (content.size() <= kMaxFileSize) {
        const auto got = ::read(fd.get(), block.data(), block.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) return content;
        content.append(block.data(), static_cast<std::size_t>(got));
    }
    return std::nullopt;
}

void write_file(const std::string& path, std::string_view content, mode_t mode) {
    ::unlink(path.c_str());
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd) throw system_error("cannot create " + path, errno);
    ::fchmod(fd.get(), mode);
    while (!content.empty()) {
        const auto put = ::write(fd.get(), content.data(), content.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) throw system_error("cannot write " + path, errno);
        content.remove_prefix(static_cast<std::size_t>(put));
    }
}

bool is_within(std::string_view path, std::string_view directory) {
    if (directory == "/") return path.starts_with('/');
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace sallyport::container
