#pragma once
// The audit log, read back. Whoever could write to it may have written anything: lines are bounded, and no text is
// trusted beyond its type. Pure, but for the stream.

#include <compare>
#include <cstdint>
#include <istream>
#include <map>
#include <string>

namespace sallyport::audit {

/// Something that left, and would need a rule.
struct Seen {
    enum class Kind { request, tcp, tls };  ///< tls: passed through, not intercepted

    Kind kind = Kind::request;
    std::string host;
    std::uint16_t port = 0;
    std::string method;  ///< of a request; so is the target
    std::string target;
    bool private_address = false;

    auto operator<=>(const Seen&) const = default;
};

struct LogContent {
    static constexpr std::size_t kMaxDifferent = 20'000;  ///< in each map
    static constexpr std::size_t kMaxLine = 256 * 1024;

    std::map<Seen, std::uint64_t> seen;
    std::map<std::string, std::uint64_t> refused;    ///< "HOST: why", alarms and rejected packets included
    std::map<std::string, std::uint64_t> looked_up;  ///< names that in enforce mode would not be resolved
    std::uint64_t unreadable = 0;                    ///< lines that are too long, cut short or no event
    std::uint64_t beyond = 0;                        ///< events left out since too many differ
};

LogContent read_log(std::istream&);

}  // namespace sallyport::audit
