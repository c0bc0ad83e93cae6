#include "gateway/policy/section.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace sallyport::policy {

namespace {

/// Levenshtein distance.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

std::string join(std::initializer_list<std::string_view> words) {
    std::string out;
    for (const std::string_view word : words) out.append(out.empty() ? "" : ", ").append(word);
    return out;
}

std::string hint(std::string_view key, std::initializer_list<std::string_view> known) {
    const auto nearest = std::min_element(known.begin(), known.end(), [&](std::string_view a, std::string_view b) {
        return distance(key, a) < distance(key, b);
    });
    constexpr std::size_t kClose = 2;
    if (key.size() < 64 && distance(key, *nearest) <= kClose) return "did you mean \"" + std::string(*nearest) + "\"?";
    return "known here: " + join(known);
}

}  // namespace

std::string Mistake::to_string() const {
    return where.file + ":" + std::to_string(where.line) + ":" + std::to_string(where.column) + ": " + message;
}

std::vector<Mistake> Mistakes::sorted() && {
    std::stable_sort(list_.begin(), list_.end(), [](const Mistake& a, const Mistake& b) {
        return std::tie(a.where.file, a.where.line, a.where.column) <
               std::tie(b.where.file, b.where.line, b.where.column);
    });
    return std::move(list_);
}

std::string in_quotes(std::string_view text) {
    constexpr std::size_t kMost = 80;
    std::string out(text.substr(0, kMost));
    std::replace_if(
        out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return "\"" + out + (text.size() > kMost ? "...\"" : "\"");
}

Section::Section(const Node& node, std::string name, std::initializer_list<std::string_view> known, Mistakes& mistakes)
    : node_(node), name_(std::move(name)), mistakes_(mistakes) {
    const auto* table = node.as<Node::Table>();
    if (!table) {
        mistake(node.where, name_ + " is a table");
        return;
    }
    for (const Member& member : *table)
        if (std::find(known.begin(), known.end(), member.key) == known.end())
            mistake(member.where,
                    "unknown key " + in_quotes(member.key) + " in " + name_ + "; " + hint(member.key, known));
}

const Member* Section::find(std::string_view key) const {
    const auto* table = node_.as<Node::Table>();
    if (!table) return nullptr;
    const auto found = std::find_if(table->begin(), table->end(), [&](const Member& m) { return m.key == key; });
    return found == table->end() ? nullptr : &*found;
}

std::optional<Text> Section::text(std::string_view key) const {
    const Member* member = find(key);
    if (!member) return std::nullopt;
    if (const auto* value = member->node.as<std::string>()) return Text{*value, member->node.where};
    mistake(member->node.where, std::string(key) + " is a string");
    return std::nullopt;
}

std::optional<bool> Section::boolean(std::string_view key) const {
    const Member* member = find(key);
    if (!member) return std::nullopt;
    if (const auto* value = member->node.as<bool>()) return *value;
    mistake(member->node.where, std::string(key) + " is true or false");
    return std::nullopt;
}

std::vector<const Node*> Section::one_or_many(std::string_view key) const {
    const Member* member = find(key);
    if (!member) return {};
    const auto* list = member->node.as<Node::List>();
    if (!list) return {&member->node};
    if (list->empty())
        mistake(member->node.where, std::string(key) + " is an empty list: leave the key out or fill it");
    std::vector<const Node*> nodes;
    for (const Node& node : *list) nodes.push_back(&node);
    return nodes;
}

std::vector<Text> Section::texts(std::string_view key) const {
    std::vector<Text> found;
    for (const Node* node : one_or_many(key)) {
        if (const auto* value = node->as<std::string>()) found.push_back({*value, node->where});
        else mistake(node->where, std::string(key) + " is a string or a list of strings");
    }
    return found;
}

void Section::missing(std::string_view key, std::string_view example) const {
    if (node_.as<Node::Table>())
        mistake(where(), name_ + " needs " + std::string(key) + ", as in " + std::string(example));
}

}  // namespace sallyport::policy
