#include "gateway/secrets/read_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "gateway/base/unique_fd.hpp"

namespace sallyport::secrets {

Result<std::string> read_file(const std::string& name, std::size_t most) {
    const UniqueFd file(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file && errno == EACCES)
        return Error{ErrorKind::io, "the file " + name + " must be readable for user " + std::to_string(::geteuid()) +
                                        ", as whom the gateway serves and reads it again when it changes"};
    if (!file) return Error{ErrorKind::io, "the file " + name + " cannot be opened: " + std::strerror(errno)};
    std::string content(most + 1, '\0');
    std::size_t size = 0;
    while (size < content.size()) {
        const auto got = ::read(file.get(), content.data() + size, content.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Error{ErrorKind::io, "the file " + name + " cannot be read: " + std::strerror(errno)};
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    content.resize(size);
    return content;
}

}  // namespace sallyport::secrets
