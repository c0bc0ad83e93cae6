#pragma once
// The presets that ship with the program: policy fragments compiled in from gateway/policy/presets/*.toml.

#include <span>
#include <string_view>

namespace sallyport::policy {

struct Preset {
    std::string_view name;  ///< "claude-code"
    std::string_view text;  ///< TOML; its first comment line says what it is for
};

std::span<const Preset> presets();
const Preset* find_preset(std::string_view name);

}  // namespace sallyport::policy
