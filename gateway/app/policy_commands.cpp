#include "gateway/app/policy_commands.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

#include "gateway/app/policy_file.hpp"
#include "gateway/base/startup_error.hpp"
#include "gateway/policy/explain.hpp"
#include "gateway/policy/presets.hpp"

namespace sallyport::app {

int check(const std::vector<std::string>& files) {
    bool good = true;
    for (const auto& file : files) {
        try {
            const auto policy = load_policy_file(file);
            fmt::print("{}: good ({} rules, {} secrets)\n", file, policy->rules().size(), policy->secrets().size());
        } catch (const StartupError& mistakes) {
            fmt::print(stderr, "{}\n", mistakes.what());
            good = false;
        }
    }
    return good ? 0 : 1;
}

int explain(const std::string& policy_file, const std::vector<std::string>& words) {
    const auto policy = load_policy_file(policy_file);
    std::string error;
    const bool with_method = words.size() == 2;
    const auto text = policy::explain(*policy, with_method ? words[0] : std::string(), words.back(), error);
    if (text.empty()) {
        fmt::print(stderr, "sallyport explain: {}\n", error);
        return 2;
    }
    fmt::print("{}", text);
    return 0;
}

int presets(const std::string& name) {
    if (!name.empty()) {
        const auto* preset = policy::find_preset(name);
        if (!preset) {
            fmt::print(stderr, "sallyport: there is no preset \"{}\"; `sallyport presets` lists them\n", name);
            return 1;
        }
        fmt::print("{}", preset->text);
        return 0;
    }
    for (const auto& preset : policy::presets()) {
        auto line = preset.text.substr(0, preset.text.find('\n'));
        line.remove_prefix(std::min(line.find_first_not_of("# "), line.size()));
        fmt::print("{:<18} {}\n", preset.name, line);
    }
    fmt::print("\nuse = [\"NAME\", ...] in a policy takes them in; `sallyport presets NAME` prints one.\n");
    return 0;
}

}  // namespace sallyport::app
