#include "gateway/audit/ledger.hpp"

namespace sallyport::audit {
namespace {

constexpr std::size_t kMaxHost = 260;
constexpr std::size_t kMaxMethod = 32;
constexpr std::size_t kMaxRule = 200;
constexpr std::size_t kMaxPath = 512;

/// Host and port; `composed` is where that stands when it is not the host's own text.
std::string_view authority(const Subject& subject, std::string& composed) {
    if (subject.host.empty()) return composed = subject.original_dst.to_string();
    const auto host = std::string_view(subject.host).substr(0, kMaxHost - 8);
    if (subject.port == 80 || subject.port == 443 || subject.port == 0) return host;
    const bool v6 = host.find(':') != std::string_view::npos;
    composed.append(v6 ? "[" : "").append(host).append(v6 ? "]" : "");
    return composed.append(":").append(std::to_string(subject.port));
}

std::string_view cut(std::string_view text, std::size_t most) { return text.substr(0, most); }

Outcome outcome(Decision decision, bool would_deny) {
    return decision == Decision::deny ? Outcome::denied : would_deny ? Outcome::would_deny : Outcome::allowed;
}
Outcome outcome(const RequestEvent& event) {
    return event.alarm.empty() ? outcome(event.decision, event.would_deny) : Outcome::alarm;
}
Outcome outcome(const ConnectionEvent& event) { return outcome(event.decision, event.would_deny); }
Outcome outcome(const NameEvent& event) { return event.would_deny ? Outcome::would_deny : Outcome::denied; }
Outcome outcome(const PacketEvent&) { return Outcome::denied; }
Outcome outcome(const PolicyEvent&) { return Outcome::allowed; }

LedgerView key_of(const RequestEvent& event, std::string& composed) {
    const auto path = cut(event.path, event.path.find('?'));
    return {outcome(event), authority(event, composed), cut(event.method, kMaxMethod), cut(event.rule, kMaxRule),
            cut(path, kMaxPath)};
}
LedgerView key_of(const ConnectionEvent& event, std::string& composed) {
    return {outcome(event), authority(event, composed), event.protocol, cut(event.rule, kMaxRule), {}};
}
LedgerView key_of(const NameEvent& event, std::string&) {
    return {outcome(event), cut(event.name, kMaxHost), "DNS", {}, {}};
}
LedgerView key_of(const PacketEvent& event, std::string&) {
    return {outcome(event), cut(event.destination, kMaxHost), event.packet_class, {}, {}};
}
LedgerView key_of(const PolicyEvent& event, std::string&) { return {outcome(event), {}, {}, {}, {}}; }

std::uint64_t count_of(const Event& event) {
    const auto* packet = std::get_if<PacketEvent>(&event);
    return packet ? packet->count : 1;
}

}  // namespace

LedgerView::LedgerView(Outcome that, std::string_view its_host, std::string_view its_method, std::string_view its_rule,
                       std::string_view its_path)
    : outcome(that), host(its_host), method(its_method), rule(its_rule), path(its_path) {}

LedgerView::LedgerView(const LedgerKey& key) : LedgerView(key.outcome, key.host, key.method, key.rule, key.path) {}

void Ledger::add(const Event& event) {
    if (std::holds_alternative<PolicyEvent>(event)) return;  // no traffic
    std::string composed;
    const auto key = std::visit([&](const auto& known) { return key_of(known, composed); }, event);
    const auto count = count_of(event);
    total_ += count;
    totals_[key.outcome] += count;
    if (const auto known = entries_.find(key); known != entries_.end()) known->second += count;
    else if (entries_.size() < kMaxKeys) entries_.emplace(key.owned(), count);
    else others_[key.outcome] += count;
}

std::uint64_t Ledger::total(Outcome outcome) const {
    const auto found = totals_.find(outcome);
    return found == totals_.end() ? 0 : found->second;
}

}  // namespace sallyport::audit
