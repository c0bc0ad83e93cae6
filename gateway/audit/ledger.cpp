#include "gateway/audit/ledger.hpp"

namespace sallyport::audit {
namespace {

constexpr std::size_t kMaxHost = 260;
constexpr std::size_t kMaxMethod = 32;
constexpr std::size_t kMaxRule = 200;
constexpr std::size_t kMaxPath = 512;

std::string authority(const Subject& subject) {
    if (subject.host.empty()) return subject.original_dst.to_string();
    auto host = subject.host.substr(0, kMaxHost - 8);
    if (subject.port == 80 || subject.port == 443 || subject.port == 0) return host;
    return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(subject.port);
}

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

LedgerKey key_of(const RequestEvent& event) {
    const auto path = event.path.substr(0, event.path.find('?'));
    return {outcome(event), authority(event), event.method.substr(0, kMaxMethod), event.rule.substr(0, kMaxRule),
            path.substr(0, kMaxPath)};
}
LedgerKey key_of(const ConnectionEvent& event) {
    return {outcome(event), authority(event), event.protocol, event.rule.substr(0, kMaxRule), {}};
}
LedgerKey key_of(const NameEvent& event) { return {outcome(event), event.name.substr(0, kMaxHost), "DNS", {}, {}}; }
LedgerKey key_of(const PacketEvent& event) {
    return {outcome(event), event.destination.substr(0, kMaxHost), event.packet_class, {}, {}};
}
LedgerKey key_of(const PolicyEvent& event) { return {outcome(event), {}, {}, {}, {}}; }

std::uint64_t count_of(const Event& event) {
    const auto* packet = std::get_if<PacketEvent>(&event);
    return packet ? packet->count : 1;
}

}  // namespace

void Ledger::add(const Event& event) {
    if (std::holds_alternative<PolicyEvent>(event)) return;  // no traffic
    auto key = std::visit([](const auto& known) { return key_of(known); }, event);
    const auto count = count_of(event);
    total_ += count;
    totals_[key.outcome] += count;
    if (const auto known = entries_.find(key); known != entries_.end()) known->second += count;
    else if (entries_.size() < kMaxKeys) entries_.emplace(std::move(key), count);
    else others_[key.outcome] += count;
}

std::uint64_t Ledger::total(Outcome outcome) const {
    const auto found = totals_.find(outcome);
    return found == totals_.end() ? 0 : found->second;
}

}  // namespace sallyport::audit
