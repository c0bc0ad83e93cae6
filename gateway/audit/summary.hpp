#pragma once
// What happened, in a few lines for the person who ran it. Pure.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "gateway/audit/events.hpp"

namespace sallyport::audit {

/// Counts under names that clients choose: at most kMaxNames of them, the rest together. Keeps the first note of each.
class Tally {
public:
    static constexpr std::size_t kMaxNames = 1000;
    struct Entry {
        std::uint64_t count = 0;
        std::string note;          ///< the first
        bool other_notes = false;  ///< some that came later differ
    };

    void add(std::string_view name, std::uint64_t count, std::string_view note = {});
    std::uint64_t total() const { return total_; }
    std::uint64_t others() const { return others_; }
    const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }

private:
    std::map<std::string, Entry, std::less<>> entries_;
    std::uint64_t total_ = 0;
    std::uint64_t others_ = 0;
};

/// What was counted, without the names.
struct Totals {
    std::uint64_t allowed = 0;  ///< requests and connections
    std::uint64_t refused = 0;
    std::uint64_t names = 0;    ///< not resolved
    std::uint64_t packets = 0;  ///< rejected
    std::uint64_t alarms = 0;
};

class Summary {
public:
    void add(const Event& event);
    Totals totals() const {
        return {allowed_.total(), refused_.total(), names_.total(), packets_.total(), alarms_.total()};
    }
    /// Lines that begin with "sallyport:" or are indented; printable ASCII only, of bounded length. A first line is
    /// always there.
    std::string render() const;

private:
    void count(const RequestEvent& event);
    void count(const ConnectionEvent& event);
    void count(const NameEvent& event);
    void count(const PacketEvent& event);
    void count(const PolicyEvent&) {}  // no traffic
    void count(const Subject& subject);

    Tally allowed_;
    Tally refused_;
    Tally would_deny_;
    Tally names_;
    Tally packets_;
    Tally alarms_;
};

}  // namespace sallyport::audit
