#pragma once
// What happened, counted: the source of the table at the end of a run. Pure.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "gateway/audit/events.hpp"

namespace sallyport::audit {

/// In the order in which a reader should see them.
enum class Outcome { alarm, denied, would_deny, allowed };

/// Events that are counted together. Texts are as they came, but cut.
struct LedgerKey {
    Outcome outcome = Outcome::denied;
    std::string host;    ///< with its port unless that is 80 or 443
    std::string method;  ///< of the request; else "tls", "tcp", "DNS" or the class of packet
    std::string rule;    ///< may be empty
    std::string path;    ///< without query; empty: no request

    auto operator<=>(const LedgerKey&) const = default;
};

/// The same, of texts that are somebody else's.
struct LedgerView {
    Outcome outcome = Outcome::denied;
    std::string_view host, method, rule, path;

    LedgerView() = default;
    LedgerView(Outcome, std::string_view host, std::string_view method, std::string_view rule, std::string_view path);
    LedgerView(const LedgerKey&);
    LedgerKey owned() const {
        return {outcome, std::string(host), std::string(method), std::string(rule), std::string(path)};
    }

    auto operator<=>(const LedgerView&) const = default;
};

struct LedgerLess {
    using is_transparent = void;
    bool operator()(const LedgerView& a, const LedgerView& b) const { return a < b; }
};

/// Keeps at most kMaxKeys different ones; what is beyond is counted by outcome only.
class Ledger {
public:
    static constexpr std::size_t kMaxKeys = 4000;

    using Entries = std::map<LedgerKey, std::uint64_t, LedgerLess>;

    void add(const Event& event);
    const Entries& entries() const { return entries_; }
    const std::map<Outcome, std::uint64_t>& others() const { return others_; }
    /// Events with this outcome, others included.
    std::uint64_t total(Outcome outcome) const;
    /// Something was denied, or in audit mode would have been.
    bool denied_anything() const { return total(Outcome::allowed) != total_; }

private:
    Entries entries_;
    std::map<Outcome, std::uint64_t> others_;
    std::map<Outcome, std::uint64_t> totals_;
    std::uint64_t total_ = 0;
};

}  // namespace sallyport::audit
