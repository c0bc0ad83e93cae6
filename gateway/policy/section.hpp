#pragma once
// Reading one table of a policy: typed values, and a mistake with its position for everything that does not fit.

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/policy/document.hpp"

namespace sallyport::policy {

/// The mistakes found so far.
class Mistakes {
public:
    void add(const SourcePosition& where, std::string message) { list_.push_back({where, std::move(message)}); }
    bool empty() const { return list_.empty(); }
    std::size_t size() const { return list_.size(); }
    /// In the order of the text.
    std::vector<Mistake> sorted() &&;

private:
    std::vector<Mistake> list_;
};

/// A string of the policy's text in quotes, for a message: printable and of bounded length.
std::string in_quotes(std::string_view text);

/// One string with its position.
struct Text {
    std::string value;
    SourcePosition where;
};

/// A table whose keys are all known. Keeps references to the node and the mistakes.
class Section {
public:
    /// `name` as it stands in messages: "[[allow]]". Keys that are not in `known` are reported at once.
    Section(const Node& node, std::string name, std::initializer_list<std::string_view> known, Mistakes& mistakes);

    const SourcePosition& where() const { return node_.where; }
    /// Null when the key is not there.
    const Member* find(std::string_view key) const;

    /// The value of a key that is there and of the right type, else nullopt (a wrong type has been reported).
    std::optional<Text> text(std::string_view key) const;
    std::optional<bool> boolean(std::string_view key) const;
    /// A string or a list of strings. Empty when the key is not there; an empty list is a mistake, since "none" and
    /// "any" would be one typing error apart.
    std::vector<Text> texts(std::string_view key) const;
    /// A string or a list as nodes, whatever their types; an empty list has been reported.
    std::vector<const Node*> one_or_many(std::string_view key) const;

    void mistake(const SourcePosition& at, std::string message) const { mistakes_.add(at, std::move(message)); }
    /// Reports a key that must be there and is not.
    void missing(std::string_view key, std::string_view example) const;

private:
    const Node& node_;
    std::string name_;
    Mistakes& mistakes_;
};

}  // namespace sallyport::policy
