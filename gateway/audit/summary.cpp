#include "gateway/audit/summary.hpp"

#include <algorithm>
#include <vector>

#include "gateway/audit/json_line.hpp"

namespace sallyport::audit {
namespace {

constexpr std::size_t kMaxShown = 10;
constexpr std::size_t kMaxNote = 300;

using Item = std::pair<std::string_view, Tally::Entry>;

/// A name that could not be mistaken for a part of our own sentence: no spaces, commas, brackets.
std::string plain(std::string_view name) {
    std::string result(name.substr(0, 253));
    for (char& c : result) {
        const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          std::string_view("-._:*").find(c) != std::string_view::npos;
        if (!fine) c = '?';
    }
    return result.empty() ? "(unnamed)" : result;
}

/// The most frequent first.
std::vector<Item> ranked(const Tally& tally) {
    std::vector<Item> items(tally.entries().begin(), tally.entries().end());
    std::stable_sort(items.begin(), items.end(),
                     [](const Item& a, const Item& b) { return a.second.count > b.second.count; });
    return items;
}

std::uint64_t beyond(const Tally& tally, const std::vector<Item>& items) {
    std::uint64_t rest = tally.others();
    for (std::size_t i = kMaxShown; i < items.size(); ++i) rest += items[i].second.count;
    return rest;
}

/// " (a 10, b 2, others 5)"; nothing for an empty tally.
std::string in_brackets(const Tally& tally) {
    const auto items = ranked(tally);
    std::string text;
    for (std::size_t i = 0; i < std::min(kMaxShown, items.size()); ++i)
        text += (i > 0 ? ", " : "") + plain(items[i].first) + " " + std::to_string(items[i].second.count);
    if (const auto rest = beyond(tally, items); rest > 0) text += ", others " + std::to_string(rest);
    return text.empty() ? text : " (" + text + ")";
}

void list(std::string& out, const std::string& what, const Tally& tally) {
    const auto items = ranked(tally);
    for (std::size_t i = 0; i < std::min(kMaxShown, items.size()); ++i) {
        const auto& [name, entry] = items[i];
        out += "  " + what + " " + plain(name) + " (" + std::to_string(entry.count) + ")";
        if (!entry.note.empty()) out += ": " + json_escape(entry.note) + (entry.other_notes ? ", and others" : "");
        out += "\n";
    }
    if (const auto rest = beyond(tally, items); rest > 0)
        out += "  " + what + " others (" + std::to_string(rest) + ")\n";
}

std::string counted(std::uint64_t count, const std::string& one, const std::string& many) {
    return std::to_string(count) + " " + (count == 1 ? one : many);
}

}  // namespace

void Tally::add(std::string_view name, std::uint64_t count, std::string_view note) {
    total_ += count;
    auto entry = entries_.find(name);
    if (entry == entries_.end()) {
        if (entries_.size() >= kMaxNames) {
            others_ += count;
            return;
        }
        entry =
            entries_.emplace(std::string(name.substr(0, 253)), Entry{0, std::string(note.substr(0, kMaxNote))}).first;
    }
    entry->second.count += count;
    entry->second.other_notes |= entry->second.note != note.substr(0, kMaxNote);
}

void Summary::add(const Event& event) {
    std::visit([this](const auto& known) { count(known); }, event);
}

void Summary::count(const Subject& subject) {
    const std::string host = subject.host.empty() ? subject.original_dst.to_string() : subject.host;
    if (subject.would_deny) would_deny_.add(host, 1, subject.reason);
    if (subject.decision == Decision::allow) allowed_.add(host, 1);
    else refused_.add(host, 1, subject.reason);
}

void Summary::count(const RequestEvent& event) {
    count(static_cast<const Subject&>(event));
    if (!event.alarm.empty()) alarms_.add(event.host, 1, event.alarm);
}

void Summary::count(const ConnectionEvent& event) { count(static_cast<const Subject&>(event)); }

void Summary::count(const NameEvent& event) {
    if (!event.would_deny) names_.add(event.name, 1);
}

void Summary::count(const PacketEvent& event) { packets_.add(event.packet_class, event.count); }

std::string Summary::render() const {
    std::string out = "sallyport: " + counted(allowed_.total(), "request", "requests") + " allowed" +
                      in_brackets(allowed_) + ", " + std::to_string(refused_.total()) + " refused";
    if (would_deny_.total() > 0) out += ", " + std::to_string(would_deny_.total()) + " of the allowed would be denied";
    if (names_.total() > 0) out += ", " + counted(names_.total(), "name", "names") + " not resolved";
    if (packets_.total() > 0) out += ", " + counted(packets_.total(), "packet", "packets") + " rejected";
    out += "\n";
    list(out, "ALARM", alarms_);
    list(out, "would deny", would_deny_);
    list(out, "refused", refused_);
    list(out, "not resolved", names_);
    list(out, "rejected", packets_);
    return out;
}

}  // namespace sallyport::audit
