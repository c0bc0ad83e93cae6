#pragma once
// Another process's memory, as root sees it: what a thief of its swap space, a core dump or a debugger would find.

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace sallyport::test {

struct Copy {
    std::string where;    ///< the mapping, as /proc/PID/smaps names it
    bool locked = false;  ///< never swapped
    bool dumped = true;   ///< part of a core dump, were there one
};

/// Where `bytes` stand in it. Throws std::runtime_error where it cannot be read.
std::vector<Copy> copies_in(pid_t process, std::string_view bytes);

/// Its children.
std::vector<pid_t> children_of(pid_t process);

}  // namespace sallyport::test
