#include "container/process_status.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace sallyport::container {
namespace {

/// What follows "KEY:" and blanks; "" when there is no such line.
std::string_view value_of(std::string_view text, std::string_view key) {
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        auto line = text.substr(at, end - at);
        at = end + 1;
        if (!line.starts_with(key) || line.substr(key.size(), 1) != ":") continue;
        line.remove_prefix(key.size() + 1);
        line.remove_prefix(std::min(line.find_first_not_of("\t "), line.size()));
        return line;
    }
    return {};
}

unsigned number(std::string_view text) {
    unsigned value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

ProcessStatus parse_process_status(std::string_view text) {
    ProcessStatus status;
    status.user = number(value_of(text, "Uid"));
    status.may_gain = number(value_of(text, "NoNewPrivs")) != 1;
    const auto holds_any = [&](const char* set) {
        const auto bits = value_of(text, set);
        return bits.empty() || bits.find_first_not_of('0') != bits.npos;
    };
    constexpr std::array kSets = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
    status.has_capability =
        std::any_of(kSets.begin(), kSets.end(), holds_any) || (status.may_gain && holds_any("CapBnd"));
    status.filtered = number(value_of(text, "Seccomp")) == 2;
    status.locks_memory = number(value_of(text, "VmLck")) > 0;
    return status;
}

std::string to_string(const ProcessStatus& status) {
    return "user " + std::to_string(status.user) + (status.has_capability ? ", WITH capabilities" : ", no capability") +
           (status.may_gain ? ", MAY GAIN privileges" : ", no new privileges") +
           (status.filtered ? ", system calls filtered" : ", system calls NOT filtered") +
           (status.locks_memory ? ", secrets in locked memory" : ", secrets NOT in locked memory");
}

}  // namespace sallyport::container
