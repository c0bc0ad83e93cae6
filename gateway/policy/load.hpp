#pragma once
// TOML text -> Policy, or every mistake with its position. Unknown keys are mistakes.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/policy/policy.hpp"

namespace sallyport::policy {

struct Mistake {
    SourcePosition where;
    std::string message;  ///< what is wrong and what was expected

    std::string to_string() const;  ///< "file:line:column: message"
};

/// All mistakes of the file, not only the first (a TOML syntax error ends the list).
using LoadResult = std::variant<std::shared_ptr<const Policy>, std::vector<Mistake>>;

/// `file` is the name used in positions; relative paths in the text are taken from its folder. Reads no file.
LoadResult load(std::string_view text, const std::string& file, Mode mode = Mode::enforce);

}  // namespace sallyport::policy
