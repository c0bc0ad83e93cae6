#include "tests/support/process_memory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <sstream>

#include "gateway/base/startup_error.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::test {
namespace {

struct Mapping {
    std::uint64_t begin = 0, end = 0;
    std::string line, flags;

    bool has(const char* flag) const {
        return (" " + flags + " ").find(" " + std::string(flag) + " ") != std::string::npos;
    }
};

/// proc_pid_smaps(5): a line with the addresses, then keys; VmFlags is the last one.
std::vector<Mapping> mappings_of(pid_t process) {
    std::vector<Mapping> all;
    std::ifstream in("/proc/" + std::to_string(process) + "/smaps");
    for (std::string line; std::getline(in, line);) {
        char dash = 0;
        Mapping mapping;
        mapping.line = line;
        if (std::istringstream(line) >> std::hex >> mapping.begin >> dash >> mapping.end && dash == '-')
            all.push_back(mapping);
        else if (line.starts_with("VmFlags:") && !all.empty()) all.back().flags = line.substr(8);
    }
    return all;
}

}  // namespace

std::vector<Copy> copies_in(pid_t process, std::string_view bytes) {
    const UniqueFd memory(::open(("/proc/" + std::to_string(process) + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
    if (!memory) throw system_error("the memory of process " + std::to_string(process), errno);
    std::vector<Copy> copies;
    for (const auto& mapping : mappings_of(process)) {
        std::string content(mapping.end - mapping.begin, '\0');
        std::size_t size = 0;
        while (size < content.size()) {
            const auto got = ::pread(memory.get(), content.data() + size, content.size() - size,
                                     static_cast<off_t>(mapping.begin + size));
            if (got <= 0) break;  // the kernel's own pages, guard pages
            size += static_cast<std::size_t>(got);
        }
        content.resize(size);
        for (auto at = content.find(bytes); at != content.npos; at = content.find(bytes, at + 1))
            copies.push_back({mapping.line, mapping.has("lo"), !mapping.has("dd")});
    }
    return copies;
}

std::vector<pid_t> children_of(pid_t process) {
    const auto task = "/proc/" + std::to_string(process) + "/task/" + std::to_string(process);
    std::vector<pid_t> children;
    std::ifstream in(task + "/children");
    for (pid_t child = 0; in >> child;) children.push_back(child);
    return children;
}

}  // namespace sallyport::test
