#include "gateway/audit/table.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <tuple>
#include <vector>

#include "gateway/policy/path_groups.hpp"

namespace sallyport::audit {
namespace {

constexpr std::size_t kTextRows = 60;
constexpr std::size_t kMarkdownRows = 300;
constexpr std::size_t kPathsOfOneKind = 6;
constexpr std::size_t kMaxCell = 100;

constexpr std::size_t kColumns = 6;
using Cells = std::array<std::string, kColumns>;
const Cells kHeadings{"decision", "host", "method", "path", "count", "rule"};
constexpr std::size_t kCount = 4;  // the column of numbers

struct Row {
    LedgerKey key;  ///< its path is a pattern
    std::uint64_t count = 0;
};

std::string_view word(Outcome outcome) {
    switch (outcome) {
        case Outcome::alarm:
            return "ALARM";
        case Outcome::denied:
            return "denied";
        case Outcome::would_deny:
            return "would deny";
        case Outcome::allowed:
            return "allowed";
    }
    return "";
}

/// No space, no "|", no quote, bracket or backtick that could end a cell or a code span.
std::string cell(std::string_view text) {
    std::string out(text.substr(0, kMaxCell));
    for (char& c : out) {
        const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && std::string_view("-._~:/@%+,=*&()[]").find(c) == std::string_view::npos) c = '?';
    }
    if (text.size() > kMaxCell) out += "...";
    return out.empty() ? "-" : out;
}

/// A name that was asked for and then connected to needs no row of its own.
bool is_repeated(const LedgerKey& key, const std::set<std::string>& hosts) {
    return key.outcome == Outcome::would_deny && key.method == "DNS" && hosts.contains(key.host);
}

std::vector<Row> rows_of(const Ledger& ledger) {
    std::map<LedgerKey, std::map<std::string, std::uint64_t>> kinds;
    std::set<std::string> hosts;
    std::vector<Row> rows;
    for (const auto& [key, count] : ledger.entries())
        if (key.method != "DNS") hosts.insert(key.host.substr(0, key.host.find(':')));
    for (const auto& [key, count] : ledger.entries()) {
        if (is_repeated(key, hosts)) continue;
        if (!key.path.starts_with('/')) {
            rows.push_back({key, count});
            continue;
        }
        auto kind = key;
        kind.path.clear();
        kinds[kind][key.path] += count;
    }
    for (const auto& [kind, paths] : kinds)
        for (auto& group : policy::group_paths(paths, kPathsOfOneKind)) {
            rows.push_back({kind, group.count});
            rows.back().key.path = std::move(group.pattern);
        }
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
        return std::tie(a.key.outcome, a.key.host, b.count, a.key) <
               std::tie(b.key.outcome, b.key.host, a.count, b.key);
    });
    return rows;
}

/// The rows that are shown, and one for each outcome that has more.
std::vector<Cells> cells_of(const Ledger& ledger, std::size_t most) {
    const auto rows = rows_of(ledger);
    auto others = ledger.others();
    std::vector<Cells> table;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& [key, count] = rows[i];
        if (i >= most) others[key.outcome] += count;
        else
            table.push_back({std::string(word(key.outcome)), cell(key.host), cell(key.method), cell(key.path),
                             std::to_string(count), cell(key.rule)});
    }
    for (const auto& [outcome, count] : others)
        table.push_back({std::string(word(outcome)), "(others)", "-", "-", std::to_string(count), "-"});
    return table;
}

std::string markdown_row(const Cells& cells) {
    std::string out = "|";
    for (std::size_t i = 0; i < kColumns; ++i) {
        const bool plain = i == 0 || i == kCount || cells[i] == "-" || cells[i] == "(others)";
        out += plain ? " " + cells[i] + " |" : " `" + cells[i] + "` |";
    }
    return out + "\n";
}

}  // namespace

std::string table_text(const Ledger& ledger) {
    auto table = cells_of(ledger, kTextRows);
    if (table.empty()) return {};
    table.insert(table.begin(), kHeadings);
    std::array<std::size_t, kColumns> widths{};
    for (const auto& cells : table)
        for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], cells[i].size());
    std::string out;
    for (const auto& cells : table) {
        for (std::size_t i = 0; i < kColumns; ++i) {
            const std::string padding(widths[i] - cells[i].size(), ' ');
            out += "  " + (i == kCount ? padding + cells[i] : i + 1 == kColumns ? cells[i] : cells[i] + padding);
        }
        out += "\n";
    }
    return out;
}

std::string table_markdown(const Ledger& ledger, bool enforced) {
    const auto number = [&](Outcome outcome) { return std::to_string(ledger.total(outcome)); };
    std::string out = "\n### Sallyport: " + number(Outcome::allowed) + " allowed";
    if (!enforced) out += ", " + number(Outcome::would_deny) + " would be denied";
    out += ", " + std::to_string(ledger.total(Outcome::denied) + ledger.total(Outcome::alarm)) + " denied\n\n";
    if (!enforced) out += "**Audit mode: nothing was enforced.**\n\n";
    const auto table = cells_of(ledger, kMarkdownRows);
    if (table.empty()) return out;
    out += "| decision | host | method | path | count | rule |\n|---|---|---|---|---:|---|\n";
    for (const auto& cells : table) out += markdown_row(cells);
    return out + "\n";
}

}  // namespace sallyport::audit
