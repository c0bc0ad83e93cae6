#include "gateway/policy/document.hpp"

#include <algorithm>

#include <toml++/toml.h>

namespace sallyport::policy {

namespace {

SourcePosition position(const toml::source_region& region, const std::string& file) {
    return {file, region.begin.line, region.begin.column};
}

// Recursion is bounded by the parser, which refuses values nested deeper than TOML_MAX_NESTED_VALUES (256).
Node convert(const toml::node& from, const std::string& file) {
    Node node;
    node.where = position(from.source(), file);
    if (const auto* text = from.as_string()) {
        node.value = text->get();
    } else if (const auto* integer = from.as_integer()) {
        node.value = integer->get();
    } else if (const auto* boolean = from.as_boolean()) {
        node.value = boolean->get();
    } else if (const auto* array = from.as_array()) {
        Node::List list;
        for (const toml::node& element : *array) list.push_back(convert(element, file));
        node.value = std::move(list);
    } else if (const auto* table = from.as_table()) {
        Node::Table members;
        for (const auto& [key, value] : *table)
            members.push_back({std::string(key.str()), position(key.source(), file), convert(value, file)});
        node.value = std::move(members);
    }
    return node;
}

/// Outside strings and comments TOML is ASCII. toml++ before 3.4 has undefined behaviour at some other characters
/// there (is_non_ascii_horizontal_whitespace), so they are not shown to it.
std::optional<SourcePosition> find_stray_character(std::string_view text, const std::string& file) {
    std::uint32_t line = 1;
    std::size_t line_start = 0;
    std::string_view quote;  // that ends the string
    bool comment = false;
    const std::string_view kByteOrderMark = "\xef\xbb\xbf";
    for (std::size_t i = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\n') {
            comment = false;
            if (quote.size() == 1) quote = {};
            line_start = i + 1;
            ++line;
        } else if (comment) {
            continue;
        } else if (!quote.empty()) {
            if (c == '\\' && quote.front() == '"' && i + 1 < text.size() && text[i + 1] != '\n') {
                ++i;
            } else if (text.substr(i).starts_with(quote)) {
                i += quote.size() - 1;
                quote = {};
            }
        } else if (c == '"' || c == '\'') {
            const std::string_view triple = c == '"' ? R"(""")" : "'''";
            quote = triple.substr(0, text.substr(i).starts_with(triple) ? 3 : 1);
            i += quote.size() - 1;
        } else if (c == '#') {
            comment = true;
        } else if (static_cast<unsigned char>(c) >= 0x80) {
            const auto before = text.substr(line_start, i - line_start);
            const auto is_first_byte = [](char b) { return (static_cast<unsigned char>(b) & 0xc0) != 0x80; };
            const auto column = std::count_if(before.begin(), before.end(), is_first_byte) + 1;
            return SourcePosition{file, line, static_cast<std::uint32_t>(column)};
        }
    }
    return std::nullopt;
}

}  // namespace

std::variant<Node, Mistake> parse_document(std::string_view text, const std::string& file) {
    if (const auto stray = find_stray_character(text, file))
        return Mistake{*stray, "characters outside ASCII stand in quotes or comments only"};
    try {
        return convert(toml::parse(text, file), file);
    } catch (const toml::parse_error& error) {
        return Mistake{position(error.source(), file), std::string(error.description())};
    }
}

}  // namespace sallyport::policy
