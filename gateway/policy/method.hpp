#pragma once
// Request methods as a policy may name them.

#include <algorithm>
#include <string_view>

namespace sallyport::policy {

/// A method of RFC 9110, section 9.1, without lower case: methods are case-sensitive, and all registered ones are
/// written in upper case ("M-SEARCH", "VERSION-CONTROL").
inline bool is_method(std::string_view text) {
    return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

}  // namespace sallyport::policy
