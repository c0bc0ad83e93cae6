#include "gateway/policy/presets.hpp"

#include <algorithm>

namespace sallyport::policy {

const Preset* find_preset(std::string_view name) {
    const auto all = presets();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Preset& preset) { return preset.name == name; });
    return found == all.end() ? nullptr : &*found;
}

}  // namespace sallyport::policy
