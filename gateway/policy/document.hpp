#pragma once
// A TOML text as a plain tree with positions; document.cpp is the one file that knows the parser.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/policy/load.hpp"

namespace sallyport::policy {

struct Member;

struct Node {
    /// What a policy has no use for: floats, dates, integers no int64 holds.
    struct Other {};
    using List = std::vector<Node>;
    using Table = std::vector<Member>;

    SourcePosition where;
    std::variant<Other, std::string, std::int64_t, bool, List, Table> value;

    template <class T>
    const T* as() const {
        return std::get_if<T>(&value);
    }
};

struct Member {
    std::string key;
    SourcePosition where;  ///< of the key
    Node node;
};

/// The root table, or the one syntax error.
std::variant<Node, Mistake> parse_document(std::string_view text, const std::string& file);

}  // namespace sallyport::policy
